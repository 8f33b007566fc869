"""A studio that really listens, clients of it, and a connection that breaks."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from studio.accounts.models import Role, Scope, User
from studio.accounts.tokens import token_create
from studio.catalog.models import Teacher
from studio.client import Client
from studio.environment import PROJECT
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.runs.distillation import run_folder
from studio.runs.models import Checkpoint, Run
from tests.conftest import teacher_card
from tests.studio.builders import bring_to, checkpoint, evaluation, metrics, record

CONTENT = os.urandom(3 << 20)


@pytest.fixture
def url(live_server: Any, redis_server: None, settings: Any, tmp_path: Path) -> str:
    """The address of a studio with the digits teacher."""
    settings.DATA = tmp_path / "data"
    settings.DATA.mkdir()
    settings.RUNS_FOLDER = settings.DATA / "runs"
    card = teacher_card()
    Teacher.objects.create(reference="bundled:digits", title=card.title, card=card.model_dump(mode="json"))
    return str(live_server.url)


@pytest.fixture
def token(url: str) -> str:
    """A researcher's, who may write."""
    ada = User.objects.create_user("ada", role=Role.RESEARCHER)
    return token_create(user=ada, name="tests", scope=Scope.WRITE)[1]


@pytest.fixture
def client(url: str, token: str) -> Client:
    return Client(url, token)


@pytest.fixture
def trained(client: Client) -> tuple[Run, Job]:
    """A run that a worker holds, with two measured checkpoints, the first the better one."""
    run = Run.objects.get(pk=client.run_create("digits-demo", name="trained")["id"])
    job = bring_to(run, JobState.RUNNING)
    record(job, metrics(1, student_loss=4.0), metrics(2, student_loss=3.0))
    for step, frechet, content in ((2, 1.5, CONTENT), (4, 2.5, b"newest")):
        record(job, evaluation(step, frechet=frechet), checkpoint(step, content))
        file = checkpoint_file(run.pk, step)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return run, job


def checkpoint_file(run_id: int, step: int) -> Path:
    """Where the studio keeps it."""
    return run_folder(run_id) / Checkpoint.objects.get(run_id=run_id, step=step).path


def meanwhile(do: Callable[[], Any]) -> threading.Thread:
    """It happens beside the test, with database connections of its own. Join it."""

    def work() -> None:
        try:
            do()
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


class Terminal:
    """`simstudio` as a process of its own, with a home of its own."""

    def __init__(self, home: Path, **variables: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SIMSTUDIO_")}
        self.home = home
        self.variables = inherited | {"XDG_CONFIG_HOME": str(home), "PYTHONPATH": str(PROJECT)} | variables

    def __call__(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "studio.client", *words],
            cwd=self.home, env=self.variables | variables, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def json(self, *words: str) -> Any:
        """What a command prints with --json."""
        result = self(*words, "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)


@pytest.fixture
def simstudio(url: str, token: str, tmp_path: Path) -> Terminal:
    """Signed in by the environment."""
    home = tmp_path / "home"
    home.mkdir()
    return Terminal(home, SIMSTUDIO_URL=url, SIMSTUDIO_TOKEN=token)


class BreakingLine:
    """A connection to the studio on a port of its own that ends each of the first answers after so many bytes."""

    def __init__(self, port: int, after: list[int]) -> None:
        self._port, self._after, self.connections = port, after, 0
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def hang_up(self, times: int) -> None:
        """End the connections there are, and as many new ones."""
        self._after = [0] * times
        for end in self._open:
            _shut(end)

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(visitor)
            left = self._after.pop(0) if self._after else 1 << 40
            threading.Thread(target=self._carry, args=(visitor, left), daemon=True).start()

    def _carry(self, visitor: socket.socket, left: int) -> None:
        with visitor, socket.create_connection(("127.0.0.1", self._port)) as studio:
            threading.Thread(target=_copy, args=(visitor, studio), daemon=True).start()
            with contextlib.suppress(OSError):
                while data := studio.recv(65536):
                    visitor.sendall(data[:left])
                    left -= len(data)
                    if left <= 0:
                        break
            _shut(visitor)
            _shut(studio)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    _shut(target)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def breaking(url: str) -> Iterator[Callable[..., BreakingLine]]:
    """breaking(100, 500): the first connection ends 100 bytes into its answers, the second 500, later ones never."""
    lines: list[BreakingLine] = []

    def make(*after: int) -> BreakingLine:
        lines.append(BreakingLine(int(url.rsplit(":", 1)[1]), list(after)))
        return lines[-1]

    yield make
    for line in lines:
        line.close()
