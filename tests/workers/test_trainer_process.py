from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.stack import wait_for
from workers import trainer_process
from workers.trainer_process import TrainerProcess


@pytest.fixture
def trainer(tmp_path: Path) -> Any:
    """A process that runs a few lines of Python in the trainer's place."""

    def build(code: str) -> TrainerProcess:
        start = "import os, sys, time, subprocess, signal\ndef say(text): os.write(1, text.encode())\n"
        return TrainerProcess([start + code], tmp_path / "stderr.log", program=(sys.executable, "-c"))

    return build


def all_lines(process: TrainerProcess) -> list[bytes]:
    """Everything until the pipe closes."""
    lines: list[bytes] = []
    while (more := process.read_lines(10)) is not None:
        lines += more
    return lines


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_lines_arrive_whole_however_they_are_cut(trainer: Any) -> None:
    with trainer(
        "say('on'); sys.stdin.readline(); say('e\\ntwo\\nthr'); sys.stdin.readline(); say('ee\\n')"
    ) as process:
        assert process.read_lines(10) == []
        process.ask("go")
        assert process.read_lines(10) == [b"one", b"two"]
        process.ask("go")
        assert process.read_lines(10) == [b"three"]
        assert process.read_lines(10) is None
        assert process.exit_code() == 0


def test_a_silent_trainer_is_waited_for_no_longer_than_asked(trainer: Any) -> None:
    with trainer("time.sleep(1000)") as process:
        began = time.monotonic()
        assert process.read_lines(0.2) == []
        assert 0.2 <= time.monotonic() - began < 5


def test_much_at_once_is_read_completely(trainer: Any) -> None:
    with trainer("sys.stdout.write(''.join(f'{n} {\"x\" * 1000}\\n' for n in range(5000)))") as process:
        assert [int(line.split()[0]) for line in all_lines(process)] == list(range(5000))


def test_a_line_without_its_end_is_not_a_line(trainer: Any) -> None:
    with trainer("say('whole\\nhal')") as process:
        assert all_lines(process) == [b"whole"]


def test_requests_reach_the_trainer_as_lines(trainer: Any) -> None:
    with trainer(
        "[say('got ' + line) for line in sys.stdin if line != 'x' and (line != 'end\\n' or sys.exit())]"
    ) as process:
        for action in ("pause", "checkpoint", "end"):
            process.ask(action)
        assert all_lines(process) == [b"got pause", b"got checkpoint"]


def test_a_request_after_the_end_is_not_heard_and_harms_nothing(trainer: Any) -> None:
    with trainer("") as process:
        assert process.read_lines(10) is None
        assert process.exit_code() == 0
        process.ask("pause")
        process.kill()


def test_the_exit_code_tells_an_error_from_a_signal(trainer: Any) -> None:
    with trainer("sys.exit(3)") as process:
        assert process.exit_code() == 3
    with trainer("os.kill(os.getpid(), signal.SIGKILL)") as process:
        assert process.exit_code() == -9


def test_killing_ends_the_whole_group(trainer: Any) -> None:
    code = "child = subprocess.Popen(['sleep', '1000']); say(f'{os.getpid()} {child.pid}\\n'); child.wait()"
    with trainer(code) as process:
        (line,) = process.read_lines(10)
        family = [psutil.Process(int(pid)) for pid in line.split()]
        process.kill()
        assert process.exit_code() == -9
    wait_for(lambda: all(gone(member) for member in family), 5, "nobody is left")


def test_leaving_the_block_ends_the_whole_group_though_its_leader_has_ended(trainer: Any) -> None:
    with trainer("say(f\"{subprocess.Popen(['sleep', '1000'], stdout=2).pid}\\n\")") as process:
        (line,) = process.read_lines(10)
        child = psutil.Process(int(line))
        assert process.read_lines(10) is None
    wait_for(lambda: gone(child), 5, "the child is gone")


def test_an_error_in_the_block_still_ends_the_trainer(trainer: Any) -> None:
    pids = []

    def break_off() -> None:
        with trainer("say(f'{os.getpid()}\\n'); time.sleep(1000)") as process:
            pids.extend(process.read_lines(10))
            raise RuntimeError("in the block")

    with pytest.raises(RuntimeError, match="in the block"):
        break_off()
    assert not psutil.pid_exists(int(pids[0]))


def test_a_trainer_that_closes_its_pipe_and_lives_on_is_ended(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_process, "EXIT_SECONDS", 0.2)
    with trainer("os.close(1); time.sleep(1000)") as process:
        assert process.read_lines(10) is None
        assert process.exit_code() == -9


def test_standard_error_is_appended_to_the_log(trainer: Any, tmp_path: Path) -> None:
    (tmp_path / "stderr.log").write_text("before\n")
    with trainer("sys.stderr.write('a warning\\n')") as process:
        assert all_lines(process) == []
        process.exit_code()
    assert (tmp_path / "stderr.log").read_text() == "before\na warning\n"


def test_without_a_program_of_its_own_it_is_simcore(tmp_path: Path) -> None:
    with TrainerProcess(["--help"], tmp_path / "stderr.log") as process:
        assert b"distill" in b"\n".join(all_lines(process))
        assert process.exit_code() == 0
