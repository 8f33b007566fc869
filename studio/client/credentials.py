"""The studio and the token that `simstudio login` keeps, in ~/.config/simstudio/credentials.json."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

DEFAULT_URL = "http://127.0.0.1:8000"


class NotSignedIn(Exception):
    """There is no token to ask with; the message says how to get one."""


@dataclass(frozen=True)
class Credentials:
    url: str
    token: str


def credentials_path() -> Path:
    """Below XDG_CONFIG_HOME, where it is set."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "simstudio" / "credentials.json"


def find_credentials(url: str = "", token: str = "") -> Credentials:
    """What is given; else SIMSTUDIO_URL and SIMSTUDIO_TOKEN; else what `simstudio login` kept.

    A kept token goes to its own studio only. Raises NotSignedIn.
    """
    url = (url or os.environ.get("SIMSTUDIO_URL", "")).rstrip("/")
    token = token or os.environ.get("SIMSTUDIO_TOKEN", "")
    kept = _kept()
    if token:
        return Credentials(url or (kept.url if kept else DEFAULT_URL), token)
    if kept and url in ("", kept.url.rstrip("/")):
        return kept
    place = f" of {url}" if url else ""
    raise NotSignedIn(f"no token{place}: make one on the studio's page API, then run “simstudio login”")


def credentials_save(credentials: Credentials) -> Path:
    """Keep them, readable by their owner alone. Raises OSError."""
    path = credentials_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix="credentials.", dir=path.parent)  # with mode 0600
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(credentials), file)
    os.replace(draft, path)
    return path


def credentials_forget() -> bool:
    """Whether there were any."""
    path = credentials_path()
    there = path.exists()
    path.unlink(missing_ok=True)
    return there


def _kept() -> Credentials | None:
    path = credentials_path()
    try:
        kept = json.loads(path.read_text())
        return Credentials(url=str(kept["url"]), token=str(kept["token"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise NotSignedIn(f"{path} cannot be read; run “simstudio login” again") from None
