"""A studio of real processes on a data folder of its own, for tests that start, watch and kill them."""

from __future__ import annotations

import http.cookiejar
import os
import re
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from studio.common.programs import beat_program, redis_program, web_program, worker_program
from studio.common.redis_server import wait_for_redis
from studio.common.supervisor import Program
from studio.environment import PROJECT, Environment

PASSWORD = "correct horse battery"


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Poll until `condition` gives something true, and return it; fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"after {seconds} s: {what}"
        time.sleep(0.05)
    return result


class Stack:
    """Redis, web servers, workers and beat; each can be started, stopped and killed by itself."""

    def __init__(self, folder: Path, database_url: str = "", *, set_up: bool = True, **settings: object) -> None:
        self._set_up = set_up
        self.variables = {
            "DJANGO_SETTINGS_MODULE": "studio.settings",
            "SIMSTUDIO_DATA": str(folder),
            "SIMSTUDIO_DATABASE_URL": database_url,
            "SIMSTUDIO_RING_SECONDS": "0.5",
            "SIMSTUDIO_LEASE_SECONDS": "4",
            **{f"SIMSTUDIO_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.folder = folder
        self.environment = self._environment()
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        self.programs: list[Program] = []
        self.port = 0

    def __enter__(self) -> Stack:
        self.redis = self.start(redis_program(self.environment))
        wait_for_redis(self.environment, self.redis.log)
        if not self._set_up:
            return self
        self.manage(
            "from studio.common.setup import set_up; set_up(demo=False); "
            "from studio.accounts.models import User; "
            f"User.objects.create_user('ada', password='{PASSWORD}', role='researcher')"
        )
        return self

    def __exit__(self, *_: object) -> None:
        for program in reversed(self.programs):
            program.stop_seconds = 5
            program.terminate()
        for program in reversed(self.programs):
            program.wait_until_ended()

    def _environment(self, **settings: Any) -> Environment:
        values: dict[str, Any] = {
            name.removeprefix("SIMSTUDIO_").lower(): value
            for name, value in self.variables.items()
            if name.startswith("SIMSTUDIO_")
        }
        return Environment(**(values | settings))

    def start(self, program: Program, **variables: str) -> Program:
        program.environment = {**self.variables, **variables}
        program.start()
        self.programs.append(program)
        return program

    def start_web(self) -> int:
        """A web server on a port of its own, answering."""
        port = free_port()
        self.start(web_program(self._environment(port=port)))
        wait_for(lambda: _answers(port), 30, "the web server answers")
        return port

    def start_worker(self, queue: str = "runs", **variables: str) -> Program:
        return self.start(worker_program(self.environment, queue), **variables)

    def start_beat(self) -> Program:
        return self.start(beat_program(self.environment))

    def manage(self, code: str) -> str:
        """Run Python inside the studio's Django; returns what it printed."""
        result = subprocess.run(
            [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", code],
            cwd=PROJECT, env={**os.environ, **self.variables},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return result.stdout

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read the database from outside."""
        if url := self.variables["SIMSTUDIO_DATABASE_URL"]:
            import psycopg

            with psycopg.connect(url) as connection:
                return connection.execute(query.encode()).fetchall()
        import sqlite3

        with sqlite3.connect(self.folder / "studio.sqlite3", timeout=30) as database:
            return database.execute(query).fetchall()

    def job(self, job_id: int) -> dict[str, Any]:
        names = ("state", "step", "attempt", "event_seq", "reason", "worker", "result")
        (values,) = self.rows(f"SELECT {', '.join(names)} FROM jobs_job WHERE id = {job_id}")
        return dict(zip(names, values, strict=True))

    def launch(self, overrides: dict[str, object]) -> int:
        """Queue a run of the digits preset with the given dotted settings; returns its id."""
        code = f"from tests.launch import launch; print(launch({overrides!r}))"
        return int(self.manage(code).strip().splitlines()[-1])

    def trainers(self) -> list[psutil.Process]:
        """The living trainer processes of this studio."""
        mine = str(self.folder)
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            command = process.info["cmdline"] or []
            if "simcore" in command and any(mine in part for part in command) and process.info["status"] != "zombie":
                found.append(process)
        return found


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/sign-in/", timeout=5):
            return True
    except OSError:
        return False


class Visitor:
    """A signed-in HTTP client: keeps cookies, sends the CSRF token."""

    def __init__(self, port: int, username: str = "ada", password: str = PASSWORD) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self._jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._jar))
        self.get("/sign-in/")
        page = self.post("/sign-in/", username=username, password=password)
        assert "sessionid" in self.cookies, page[:500]

    @property
    def cookies(self) -> dict[str, str]:
        return {cookie.name: cookie.value or "" for cookie in self._jar}

    @property
    def cookie_header(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def get(self, path: str) -> str:
        with self._opener.open(self.base + path, timeout=30) as response:
            return str(response.read().decode())

    def post(self, path: str, **fields: str) -> str:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get("/sign-in/"))
        fields["csrfmiddlewaretoken"] = token.group(1) if token else self.cookies.get("csrftoken", "")
        body = urllib.parse.urlencode(fields).encode()
        request = urllib.request.Request(self.base + path, body, {"Referer": self.base})
        with self._opener.open(request, timeout=30) as response:
            return str(response.read().decode())
