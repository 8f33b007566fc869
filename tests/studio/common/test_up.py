"""`manage.py up` as people start it: a process, its output, and what it leaves behind."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings

from tests.stack import Visitor, free_port
from tests.up import PASSWORD, Up

ALL_HEALTHY = """
from django.core.management import call_command
from studio.common.programs import PROGRAMS
for program in PROGRAMS:
    call_command("healthy", program)
"""


@pytest.fixture
def up() -> Iterator[Any]:
    """Start the studio; whatever the test leaves running is stopped."""
    started: list[Up] = []

    def start(folder: Path, port: int | None = None, **variables: str) -> Up:
        started.append(Up(folder, port or free_port(), **variables))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.stop(signal.SIGTERM)


def refusal(one: Up) -> str:
    """The one line with which a start was refused."""
    assert one.process.wait(60) == 1
    assert "Traceback" not in one.output
    lines = one.output.strip().splitlines()
    assert len(lines) == 1, one.output
    return lines[0]


@pytest.fixture
def database_url() -> str:
    """An empty database of the kind under test; empty: SQLite in the data folder."""
    url = str(settings.ENVIRONMENT.database_url)
    if not url:
        return ""
    name = f"up_{time.monotonic_ns()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return url.replace("/postgres?", f"/{name}?")


def test_the_studio_starts_is_alone_stops_and_starts_again(up: Any, database_url: str, tmp_path: Path) -> None:
    folder, port = tmp_path / "data", free_port()
    first = up(folder, port, SIMSTUDIO_DATABASE_URL=database_url)
    first.wait_until_ready()
    assert f"http://127.0.0.1:{port}/" in first.output
    password = PASSWORD.search(first.output)
    assert password is not None
    assert len(PASSWORD.findall(first.output)) == 1
    assert "No runs yet" in Visitor(port, "admin", password[1]).get("/runs/")
    assert first.shell(ALL_HEALTHY).split() == ["web", "works", "runs", "works", "light", "works", "beat", "works"]

    assert f"a studio is already running on {folder}" in refusal(up(folder))
    in_use = refusal(up(tmp_path / "other", port))
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use); set SIMSTUDIO_PORT" in in_use

    family = first.family()
    programs = " ".join(" ".join(process.cmdline()) for process in family)
    for program in ("redis", "uvicorn", "--queues runs", "--queues light", "beat"):
        assert program in programs
    assert first.stop(signal.SIGINT) < 20
    assert first.process.returncode == 0
    assert [process for process in family if process.is_running()] == []
    assert "Traceback" not in first.output

    second = up(folder, port, SIMSTUDIO_DATABASE_URL=database_url)
    second.wait_until_ready()
    assert PASSWORD.search(second.output) is None
    assert "No runs yet" in Visitor(port, "admin", password[1]).get("/runs/")
    family = second.family()
    assert second.stop(signal.SIGTERM) < 20
    assert [process for process in family if process.is_running()] == []


def test_a_port_in_use_is_said_before_anything_is_started(up: Any, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"cannot listen on 127.0.0.1:{port}" in refusal(up(tmp_path / "data", port))
    assert not (tmp_path / "data" / "studio.sqlite3").exists()


def test_an_address_of_another_machine_is_said(up: Any, tmp_path: Path) -> None:
    line = refusal(up(tmp_path / "data", SIMSTUDIO_HOST="192.0.2.1"))
    assert "cannot listen on 192.0.2.1" in line
    assert "SIMSTUDIO_HOST" in line


def test_a_redis_that_ends_is_said_at_once(up: Any, tmp_path: Path) -> None:
    began = time.monotonic()
    assert "the Redis server did not start" in refusal(up(tmp_path / "data", REDIS_SERVER="/bin/false"))
    assert time.monotonic() - began < 9  # it does not wait the 10 s that a slow one is given


def test_a_redis_that_says_why_it_ends_is_quoted(up: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken-redis"
    broken.write_text("#!/bin/sh\necho 'Fatal: no memory for the likes of you'\nexit 1\n")
    broken.chmod(0o755)
    line = refusal(up(tmp_path / "data", REDIS_SERVER=str(broken)))
    assert "the Redis server did not start: Fatal: no memory for the likes of you" in line


def test_a_redis_that_is_no_program_is_named(up: Any, tmp_path: Path) -> None:
    line = refusal(up(tmp_path / "data", REDIS_SERVER="/no/such/program"))
    assert "REDIS_SERVER='/no/such/program' is not a program that can be started" in line


def test_a_file_in_the_data_folders_place_is_said(up: Any, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert f"{tmp_path}/data" in refusal(up(tmp_path / "data"))


def test_a_bad_variable_is_named(up: Any, tmp_path: Path) -> None:
    line = refusal(up(tmp_path / "data", SIMSTUDIO_LEASE_SECONDS="0"))
    assert line.startswith("error: SIMSTUDIO_LEASE_SECONDS='0': ")
