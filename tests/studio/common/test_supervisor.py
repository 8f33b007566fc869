from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from studio.common.supervisor import MOST_RESTARTS, Program, Supervisor
from studio.environment import PROJECT, EnvironmentProblem
from tests.stack import wait_for


@pytest.fixture(autouse=True)
def handlers_as_before() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def program(tmp_path: Path) -> Any:
    """A shell script to keep alive; each start adds a line to `starts`."""

    def build(script: str, name: str = "tiny", stop_seconds: float = 10) -> Program:
        command = ["/bin/sh", "-c", f"echo {name} >> {tmp_path}/starts; {script}"]
        return Program(name, command, stop_seconds, tmp_path / f"{name}.log")

    return build


def starts(tmp_path: Path) -> list[str]:
    path = tmp_path / "starts"
    return path.read_text().split() if path.exists() else []


def test_what_ends_by_itself_is_started_again_until_the_signal(program: Any, tmp_path: Path) -> None:
    sleeper = program("exec sleep 1000")

    def kill_then_stop() -> None:
        try:
            wait_for(lambda: starts(tmp_path), 10, "the first start")
            os.kill(sleeper.process.pid, signal.SIGKILL)
            wait_for(lambda: len(starts(tmp_path)) == 2, 10, "the second start")
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    with Supervisor() as supervisor:
        supervisor.start(sleeper)
        meddler = threading.Thread(target=kill_then_stop)
        meddler.start()
        supervisor.watch()
        meddler.join()
    assert starts(tmp_path) == ["tiny", "tiny"]
    assert sleeper.process.returncode == -signal.SIGTERM


def test_what_keeps_ending_is_given_up_with_its_log(program: Any, tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        supervisor.start(program("exit 3"))
        with pytest.raises(EnvironmentProblem, match=rf"tiny keeps ending; the reason is at the end of {tmp_path}"):
            supervisor.watch()
    assert len(starts(tmp_path)) == MOST_RESTARTS


def test_what_does_not_stop_is_ended_with_its_children(program: Any, tmp_path: Path, capsys: Any) -> None:
    stubborn = program(f"trap '' TERM; sleep 1000 & echo $! > {tmp_path}/child; wait; wait", stop_seconds=0.3)
    with Supervisor() as supervisor:
        supervisor.start(stubborn)
        wait_for(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text().strip(), 10, "its child")
        child = psutil.Process(int((tmp_path / "child").read_text()))
    assert stubborn.process.returncode == -signal.SIGKILL
    wait_for(lambda: not child.is_running() or child.status() == "zombie", 5, "the child is gone")
    assert "tiny did not stop in 0 s and is ended" in capsys.readouterr().err


def test_later_stages_stop_before_earlier_ones(program: Any, tmp_path: Path) -> None:
    def noted(name: str) -> Program:
        ended = f"echo {name}-ended >> {tmp_path}/starts; exit 0"
        return program(f"trap '{ended}' TERM; while :; do sleep 0.05; done", name)

    with Supervisor() as supervisor:
        for name in ("store", "web"):
            supervisor.start(noted(name))
            wait_for(lambda name=name: name in starts(tmp_path), 10, "it has started")
        time.sleep(0.1)  # a shell sets its trap after its first line
    assert starts(tmp_path) == ["store", "web", "web-ended", "store-ended"]


def test_a_supervisor_that_is_killed_leaves_no_orphan(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from studio.common.supervisor import *\n"
        f"program = Program('tiny', ['sleep', '1000'], 5, Path({str(tmp_path / 'log')!r}))\n"
        "with Supervisor() as supervisor:\n"
        "    supervisor.start(program); print(program.process.pid, flush=True); supervisor.watch()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT, stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        child = psutil.Process(int(supervisor.stdout.readline()))
        supervisor.kill()
    wait_for(lambda: not child.is_running() or child.status() == "zombie", 5, "the child is gone")
