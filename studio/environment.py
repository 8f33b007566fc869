"""The environment variables that configure the studio, checked as a whole before anything starts."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tempfile
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PROJECT = Path(__file__).resolve().parent.parent


class EnvironmentProblem(RuntimeError):
    """A variable or folder is unusable; the message names it and says what would be right."""


class DeclaredDevice(BaseModel):
    """A device as SIMSTUDIO_DEVICES names it: a worker then uses these and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["cpu", "cuda"]
    name: str = Field(min_length=1, max_length=100)
    memory_gib: float = Field(gt=0, le=100_000)
    uuid: str = Field("", max_length=100, pattern=r"^[\w.:/-]*$")

    @model_validator(mode="after")
    def _cuda_has_uuid(self) -> Self:
        if self.kind == "cuda" and not self.uuid:
            raise ValueError("a cuda device needs its uuid, as `nvidia-smi -L` shows it")
        return self


_declared = TypeAdapter(list[DeclaredDevice])


class Environment(BaseSettings):
    """Every variable starts with SIMSTUDIO_; the defaults are right for one machine."""

    model_config = SettingsConfigDict(env_prefix="SIMSTUDIO_", extra="ignore", allow_inf_nan=False)

    data: Path = Field(PROJECT / "var", description="Folder of all state: database, runs, keys.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=1, le=65535)
    allowed_hosts: Annotated[list[str], NoDecode] = Field(["127.0.0.1", "localhost", "[::1]"], min_length=1)
    https: bool = Field(False, description="The studio stands behind TLS: cookies are sent over HTTPS only.")
    debug: bool = False
    secret_key: str = Field("", description="Empty: generated once and kept in the data folder.")
    database_url: str = Field("", description="Empty: SQLite in the data folder.")
    redis_url: str = Field("", description="redis://… or unix://…; empty: a server of our own in the data folder.")
    lease_seconds: float = Field(
        15.0, ge=1, le=3600, description="A run whose worker is silent this long is taken over."
    )
    ring_seconds: float = Field(5.0, ge=0.2, le=600, description="Period of the doorbell and of the reaper.")
    stall_seconds: float = Field(1800.0, ge=5, description="A trainer without any event this long counts as hung.")
    stop_seconds: float = Field(
        60.0, ge=1, le=3600, description="Time a trainer has to checkpoint when its worker stops."
    )
    api_requests_a_minute: int = Field(600, ge=1, description="For each API token, or each person in a browser.")
    log: Literal["text", "json"] = Field("text", description="Log lines for people, or one JSON object a line.")
    metrics_token: str = Field("", description="Lets Prometheus read /metrics; empty: administrators only.")
    upload_limit: int = Field(4 << 30, ge=1 << 20, description="The largest file that can be uploaded, in bytes.")
    import_folder: Path | None = Field(None, description="Files in it can be imported; none: uploads only.")
    devices: Annotated[list[DeclaredDevice], NoDecode] = Field(
        [], description="JSON list of the devices that a worker uses; empty: the CPU and every GPU it finds."
    )
    disk_reserve: float = Field(
        2.0, ge=0, le=1e6, description="GiB to keep free under the data folder: with less, runs pause. 0: never."
    )
    queued_limit: int = Field(200, ge=1, description="Most runs that one person may have in the queue.")
    webhook_private: bool = Field(
        False, description="Web hooks may use plain http and reach private addresses: only where every user is trusted."
    )
    email_url: str = Field("", description="smtp://, smtp+tls:// or smtps://user:password@host:port; empty: no e-mail.")
    public_url: str = Field(
        "",
        pattern="^(https?://[^/]+.*)?$",
        description="Where people reach the studio; for links in notifications and to studies.",
    )
    email_from: str = Field("sim-studio@localhost", description="Sender of e-mails.")
    demo: bool = Field(True, description="Queue the demo distillation on the first start; make a study of its student.")

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("metrics_token")
    @classmethod
    def _long(cls, value: str) -> str:
        if value and len(value) < 16:
            raise ValueError("must have at least 16 characters; leave it empty to let administrators only read")
        return value

    @field_validator("devices", mode="before")
    @classmethod
    def _read_devices(cls, value: object) -> object:
        if not isinstance(value, str) or not value.strip():
            return value or []
        example = '[{"kind": "cuda", "uuid": "GPU-…", "name": "H200", "memory_gib": 141}]'
        try:
            devices = _declared.validate_python(json.loads(value))
        except json.JSONDecodeError as error:
            raise ValueError(f"is not JSON ({error}); right would be {example}") from None
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ValueError(
                f"{place}: {first['msg'].removeprefix('Value error, ')}; right would be {example}"
            ) from None
        uuids = [device.uuid for device in devices if device.uuid]
        if len(set(uuids)) < len(uuids):
            raise ValueError("names a uuid twice")
        return devices

    @field_validator("data")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("import_folder")
    @classmethod
    def _existing(cls, value: Path | None) -> Path | None:
        if value is not None and not value.expanduser().is_dir():
            raise ValueError("must be a folder that exists; leave it out to allow uploads only")
        return None if value is None else value.expanduser().resolve()

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        if value and not value.startswith(("postgresql://", "postgres://", "sqlite://")):
            raise ValueError("must start with postgresql:// or sqlite://")
        return _readable_url(value)

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: str) -> str:
        if value and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        place = urlsplit(value)
        if value and not (place.path if place.scheme == "unix" else place.hostname):
            raise ValueError("must name a host, as in redis://host:6379, or a socket, as in unix:///run/redis.sock")
        return _readable_url(value)

    @field_validator("email_url")
    @classmethod
    def _mail(cls, value: str) -> str:
        if value and not (value.startswith(("smtp://", "smtp+tls://", "smtps://")) and urlsplit(value).hostname):
            raise ValueError("must name a host, as in smtp+tls://user:password@host:587")
        return _readable_url(value)

    @property
    def redis_socket(self) -> Path:
        """Socket of our own server: in the data folder, or in /tmp where that path is too long for a socket."""
        near = self.data / "redis.sock"
        if len(str(near)) < 100:
            return near
        digest = hashlib.sha256(str(self.data).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"simstudio-{os.getuid()}-{digest}" / "redis.sock"

    def redis_address(self, database: int, *, for_celery: bool = False) -> str:
        """URL of one Redis database, in Celery's spelling or in redis-py's."""
        url = self.redis_url or f"unix://{self.redis_socket}"
        base = url.split("?")[0]
        if base.startswith("unix://"):
            path = base.removeprefix("unix://")
            return f"redis+socket://{path}?virtual_host={database}" if for_celery else f"unix://{path}?db={database}"
        scheme, _, rest = base.partition("://")
        return f"{scheme}://{rest.split('/')[0]}/{database}"


def _readable_url(value: str) -> str:
    """The URL itself. Raises ValueError where its port is no number."""
    urlsplit(value).port  # noqa: B018
    return value


def load_environment() -> Environment:
    """Read and check the variables. Raises EnvironmentProblem naming the first bad one."""
    try:
        return Environment()
    except ValidationError as error:
        first = error.errors()[0]
        name = "SIMSTUDIO_" + "_".join(str(part) for part in first["loc"][:1]).upper()
        message = first["msg"].removeprefix("Value error, ")
        secret = name.endswith(("_URL", "_TOKEN", "_KEY"))  # a URL may hold a password
        shown = "" if secret else f"={first['input']!r}"
        raise EnvironmentProblem(f"{name}{shown}: {message}") from None


def prepare_data_folder(folder: Path) -> None:
    """Create the data folder and prove that it can be written. Raises EnvironmentProblem."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"0" * 4096)
    except OSError as error:
        raise EnvironmentProblem(
            f"the data folder {folder} cannot be written ({error.strerror}); free space, change its permissions, "
            "or set SIMSTUDIO_DATA to another folder"
        ) from None


def secret_key(environment: Environment) -> str:
    """The configured key, or one generated on the first start and kept with mode 0600."""
    if environment.secret_key:
        return environment.secret_key
    path = environment.data / "secret_key"
    try:
        return path.read_text()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise EnvironmentProblem(f"{path} cannot be read: {error.strerror}") from None
    prepare_data_folder(environment.data)
    descriptor, draft = tempfile.mkstemp(prefix="secret_key.", dir=environment.data)  # with mode 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(50))
    try:
        os.link(draft, path)  # the first process wins; the others read its key
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)
    return path.read_text()
