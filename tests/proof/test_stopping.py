"""Ctrl-C in the middle of a run: checkpointed, queued again, nothing left; the next start goes on."""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.stack import free_port, wait_for
from tests.up import Up


def job(folder: Path) -> dict[str, Any]:
    """The demo run's job row."""
    with sqlite3.connect(folder / "studio.sqlite3", timeout=30) as database:
        database.row_factory = sqlite3.Row
        return dict(database.execute("SELECT * FROM jobs_job").fetchone())


def wait_for_step(folder: Path, step: int) -> None:
    wait_for(lambda: job(folder)["state"] == "running" and job(folder)["step"] >= step, 240, f"step {step}")


@pytest.mark.timeout(600)
def test_ctrl_c_keeps_the_demo_run_and_the_next_start_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    studio = Up(folder, free_port(), SIMSTUDIO_DEMO="1")
    try:
        studio.wait_until_ready()
        wait_for_step(folder, 5)
        processes = studio.family()
        assert any("simcore" in process.cmdline() for process in processes), "a trainer is among them"
        studio.stop(signal.SIGINT)
        assert studio.process.returncode == 0, studio.output
        assert not [process for process in processes if process.is_running()], "every process ended"
        stopped = job(folder)
        assert (stopped["state"], stopped["interruptions"]) == ("queued", 0)
        with sqlite3.connect(folder / "studio.sqlite3") as database:
            ((step, path),) = database.execute("SELECT step, path FROM runs_checkpoint").fetchall()
        assert step == stopped["step"]
        assert (folder / "runs" / str(stopped["id"]) / path).is_file()

        studio = Up(folder, free_port(), SIMSTUDIO_DEMO="1")
        studio.wait_until_ready()
        assert "password" not in studio.output
        wait_for_step(folder, step + 1)
        assert job(folder)["attempt"] == 2
        with sqlite3.connect(folder / "studio.sqlite3") as database:
            steps = database.execute(
                "SELECT step FROM runs_metric WHERE name = 'student_loss' AND NOT superseded ORDER BY step"
            ).fetchall()
        assert [number for (number,) in steps] == list(range(1, len(steps) + 1))
    finally:
        if studio.process.poll() is None:
            studio.stop(signal.SIGINT)
        assert not psutil.pid_exists(studio.process.pid)
