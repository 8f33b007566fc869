from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Connection

from studio.environment import PROJECT, EnvironmentProblem, load_environment, prepare_data_folder, secret_key


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Load the environment with these variables and no others."""
    for name in [name for name in os.environ if name.startswith("SIMSTUDIO_")]:
        monkeypatch.delenv(name)

    def load(**variables: str) -> Any:
        for name, value in {"DATA": str(tmp_path), **variables}.items():
            monkeypatch.setenv(f"SIMSTUDIO_{name}", value)
        return load_environment()

    return load


def test_the_defaults_are_right_for_one_machine(given: Any) -> None:
    environment = given()
    assert (environment.host, environment.port, environment.debug) == ("127.0.0.1", 8000, False)
    assert environment.allowed_hosts == ["127.0.0.1", "localhost", "[::1]"]
    assert environment.demo


def test_values_are_read_with_their_types(given: Any) -> None:
    environment = given(
        PORT="9000", ALLOWED_HOSTS=" studio.example , 10.0.0.1,", HTTPS="true", LEASE_SECONDS="2.5", DEMO="0"
    )
    assert (environment.port, environment.https, environment.lease_seconds) == (9000, True, 2.5)
    assert environment.allowed_hosts == ["studio.example", "10.0.0.1"]
    assert not environment.demo


def test_the_data_folder_is_absolute_and_may_start_at_home(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert given(DATA="~/studio").data == Path("/home/ada/studio")
    assert given(DATA="here").data == Path.cwd() / "here"


BAD = {
    "PORT": ["0", "65536", "http", ""],
    "HTTPS": ["perhaps"],
    "DEBUG": ["2x"],
    "DEMO": ["often"],
    "ALLOWED_HOSTS": ["", " , "],
    "DATABASE_URL": ["oracel://x/y", "nonsense", "postgres://ada:secret@host:port/db"],
    "REDIS_URL": ["localhost:6379", "http://localhost", "redis://host:port/0", "redis://", "unix://"],
    "LEASE_SECONDS": ["0", "nan", "inf", "soon"],
    "RING_SECONDS": ["0", "601"],
    "STALL_SECONDS": ["4", "inf"],
    "STOP_SECONDS": ["0", "3601"],
    "UPLOAD_LIMIT": ["0", "1000", "4 GB"],
    "IMPORT_FOLDER": ["/no/such/folder", "/etc/passwd"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_value_names_its_variable(given: Any, name: str, value: str) -> None:
    with pytest.raises(EnvironmentProblem, match=rf"^SIMSTUDIO_{name}\b.*: \S") as problem:
        given(**{name: value})
    assert "secret" not in str(problem.value)


def test_a_bad_value_stops_every_command_with_one_line(tmp_path: Path) -> None:
    for command in ("up", "migrate", "check"):
        result = manage(command, SIMSTUDIO_DATA=str(tmp_path), SIMSTUDIO_PORT="high")
        assert result.returncode == 1
        assert result.stderr.startswith("error: SIMSTUDIO_PORT='high': ")
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("url", "celery", "channels"),
    [
        ("redis://host:6380", "redis://host:6380/0", "redis://host:6380/2"),
        ("redis://host:6380/7?x=1", "redis://host:6380/0", "redis://host:6380/2"),
        ("redis://:pass@host", "redis://:pass@host/0", "redis://:pass@host/2"),
        ("rediss://ada:pass@host:6380/", "rediss://ada:pass@host:6380/0", "rediss://ada:pass@host:6380/2"),
        ("unix:///run/r.sock", "redis+socket:///run/r.sock?virtual_host=0", "unix:///run/r.sock?db=2"),
        ("unix:///run/r.sock?db=5", "redis+socket:///run/r.sock?virtual_host=0", "unix:///run/r.sock?db=2"),
    ],
)
def test_every_spelling_of_redis_suits_celery_and_channels(given: Any, url: str, celery: str, channels: str) -> None:
    environment = given(REDIS_URL=url)
    assert environment.redis_address(0, for_celery=True) == celery
    assert environment.redis_address(2) == channels
    assert redis.ConnectionPool.from_url(channels).connection_kwargs["db"] == 2
    assert Connection(celery).transport.driver_type == "redis"


def test_our_own_redis_listens_in_the_data_folder(given: Any, tmp_path: Path) -> None:
    environment = given()
    assert environment.redis_socket == tmp_path / "redis.sock"
    assert environment.redis_address(2) == f"unix://{tmp_path}/redis.sock?db=2"


def test_a_socket_in_a_very_long_folder_moves_to_a_short_one_of_its_own(given: Any, tmp_path: Path) -> None:
    long, other = str(tmp_path / ("x" * 120)), str(tmp_path / ("y" * 120))
    first = given(DATA=long).redis_socket
    assert len(str(first)) < 100  # the system's limit is 107
    assert first == given(DATA=long).redis_socket
    assert first != given(DATA=other).redis_socket


# ---- the data folder and the key


def test_the_data_folder_is_made_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    prepare_data_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_file_in_the_folders_place_is_explained(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    for folder in (tmp_path / "data", tmp_path / "data" / "below"):
        with pytest.raises(EnvironmentProblem, match=r"data folder .* cannot be written .* set SIMSTUDIO_DATA"):
            prepare_data_folder(folder)


def test_a_folder_that_takes_no_more_bytes_is_explained(tmp_path: Path) -> None:
    """As on a full disk: the probe's first kilobyte is the last that the system takes."""
    result = python(
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))\n"
        "from pathlib import Path; from studio.environment import *\n"
        f"try: prepare_data_folder(Path({str(tmp_path)!r}))\n"
        "except EnvironmentProblem as problem: print(problem)"
    )
    assert "cannot be written (File too large); free space" in result.stdout


def test_a_configured_key_is_used_and_nothing_is_written(given: Any, tmp_path: Path) -> None:
    assert secret_key(given(SECRET_KEY="k" * 50)) == "k" * 50
    assert list(tmp_path.iterdir()) == []


def test_a_generated_key_is_private_and_stays(given: Any, tmp_path: Path) -> None:
    environment = given()
    key = secret_key(environment)
    assert len(key) >= 50
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    assert secret_key(environment) == key
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_a_key_that_was_left_half_made_is_no_obstacle(given: Any, tmp_path: Path) -> None:
    """A process that is killed while it makes the key leaves a draft; a container's next one has its number."""
    (tmp_path / f"secret_key.{os.getpid()}").write_text("half")
    assert len(secret_key(given())) >= 50


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    code = "from studio.environment import *; print(secret_key(load_environment()))"
    environment = os.environ | {"SIMSTUDIO_DATA": str(tmp_path / "new")}
    starting = [
        subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT, env=environment, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    keys = {process.communicate(timeout=60)[0] for process in starting}
    assert len(keys) == 1
    assert keys != {b""}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["secret_key"]


def test_a_key_that_cannot_be_read_is_explained(tmp_path: Path) -> None:
    (tmp_path / "secret_key").mkdir()
    result = manage("check", SIMSTUDIO_DATA=str(tmp_path))
    assert result.returncode == 1
    assert result.stderr == f"error: {tmp_path}/secret_key cannot be read: Is a directory\n"


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)


def manage(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SIMSTUDIO_")}
    clean["DJANGO_SETTINGS_MODULE"] = "studio.settings"
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT,
        env=clean | variables,
        capture_output=True,
        text=True,
        check=False,
    )
