"""Whatever is killed while a run trains, the run ends as if nothing had happened.

The random steps come from a seed that is printed; KILL_SEED chooses another.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors import safe_open

from studio.common.redis_server import wait_for_redis
from studio.environment import PROJECT
from tests.stack import Stack, wait_for

ITERATIONS, CHECKPOINT_EVERY = 90, 30
RUN: dict[str, object] = {
    "iterations": ITERATIONS,
    "batch_size": 32,
    "threads": 1,
    "seed": 5,
    "schedule.checkpoint_every": CHECKPOINT_EVERY,
    "schedule.samples_every": 30,
    "evaluation.every": 45,
    "evaluation.samples": 100,
    "evaluation.final_samples": 200,
}
SEED = int(os.environ.get("KILL_SEED", "20261123"))


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path / "data") as stack:
        for queue in ("runs", "runs", "light"):
            stack.start_worker(queue)
        stack.start_beat()
        yield stack


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run by simcore alone; its last checkpoint."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    settings = [part for name, value in RUN.items() for part in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "simcore", "distill", "--preset", "digits-demo", "--out", str(folder), *settings]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
    return folder / "checkpoints" / f"step-{ITERATIONS:06d}.safetensors"


def random_steps(name: str) -> list[int]:
    """One step in each third of the run, never one with a checkpoint."""
    chosen = random.Random(f"{SEED} {name}")
    steps = [start + chosen.randint(3, CHECKPOINT_EVERY - 5) for start in range(0, ITERATIONS, CHECKPOINT_EVERY)]
    print(f"{name}: seed {SEED}, steps {steps}")
    return steps


def wait_for_step(stack: Stack, run: int, step: int) -> dict[str, Any]:
    def reached() -> dict[str, Any] | None:
        job = stack.job(run)
        return job if job["state"] == "running" and job["step"] >= step else None

    return wait_for(reached, 120, f"run {run} reaches step {step}")


def check_end(stack: Stack, run: int, uninterrupted: Path) -> None:
    """Succeeded; metric rows without gap or duplicate; event numbers too; the weights bit for bit."""
    wait_for(lambda: stack.job(run)["state"] == "succeeded", 240, f"run {run} succeeds: {stack.job(run)}")
    for name in ("student_loss", "denoiser_loss", "student_grad_norm"):
        points = stack.rows(
            f"SELECT step FROM runs_metric WHERE run_id = {run} AND name = '{name}' AND NOT superseded ORDER BY step"
        )
        assert [step for (step,) in points] == list(range(1, ITERATIONS + 1)), name
    numbers = stack.rows(f"SELECT seq FROM jobs_jobevent WHERE job_id = {run} ORDER BY seq")
    assert [seq for (seq,) in numbers] == list(range(1, stack.job(run)["event_seq"] + 1))
    ((path,),) = stack.rows(
        f"SELECT path FROM runs_checkpoint WHERE run_id = {run} AND step = {ITERATIONS} AND NOT superseded"
    )
    assert_same_tensors(stack.folder / "runs" / str(run) / path, uninterrupted)
    assert not stack.trainers()


def assert_same_tensors(path: Path, other: Path) -> None:
    with safe_open(path, "pt") as one, safe_open(other, "pt") as two:
        assert set(one.keys()) == set(two.keys())
        for name in one.keys():  # noqa: SIM118  (not a dictionary)
            assert torch.equal(one.get_tensor(name), two.get_tensor(name)), name


def kill_at_three_steps(stack: Stack, name: str, kill: Callable[[dict[str, Any]], None]) -> int:
    run = stack.launch(RUN)
    for count, step in enumerate(random_steps(name), start=1):
        job = wait_for_step(stack, run, step)
        old = stack.trainers()
        assert old, "a trainer is at work"
        kill(job)
        wait_for(lambda old=old: not any(alive(process) for process in old), 5, "the old attempt is dead")
        wait_for(lambda count=count: stack.job(run)["attempt"] == count + 1, 30, "another attempt begins")
    return run


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_run_survives_the_death_of_its_workers(stack: Stack, uninterrupted: Path) -> None:
    killed = []

    def kill(job: dict[str, Any]) -> None:
        killed.append(job["worker"])
        os.kill(int(job["worker"].rsplit(":", 1)[1]), signal.SIGKILL)
        stack.start_worker("runs")

    run = kill_at_three_steps(stack, "worker", kill)
    check_end(stack, run, uninterrupted)
    assert len(set(killed)) == 3, "another worker took over each time"
    reasons = stack.rows(f"SELECT reason FROM jobs_jobtransition WHERE job_id = {run} AND actor = 'reaper'")
    assert len(reasons) == 3


def test_a_run_survives_the_death_of_its_trainer(stack: Stack, uninterrupted: Path) -> None:
    def kill(job: dict[str, Any]) -> None:
        for process in stack.trainers():
            process.kill()

    run = kill_at_three_steps(stack, "trainer", kill)
    check_end(stack, run, uninterrupted)


def test_a_run_does_not_notice_that_redis_restarts(stack: Stack, uninterrupted: Path) -> None:
    run = stack.launch(RUN)
    for step in random_steps("redis"):
        wait_for_step(stack, run, step)
        assert stack.redis.process is not None
        stack.redis.process.kill()
        stack.redis.process.wait()
        time.sleep(1)  # an outage, not a blink
        stack.redis.start()
        wait_for_redis(stack.environment, stack.redis.log)
    check_end(stack, run, uninterrupted)
    assert stack.job(run)["attempt"] == 1
    # the queue works again: a second run is fetched
    second = stack.launch({**RUN, "iterations": 3})
    wait_for(lambda: stack.job(second)["state"] == "succeeded", 60, "a run after the restart")


def test_light_work_and_the_reaper_go_on_while_runs_train(stack: Stack) -> None:
    runs = [stack.launch({**RUN, "iterations": 5000}) for _ in range(2)]  # both workers are busy
    for run in runs:
        wait_for_step(stack, run, 2)
    lost = stack.launch(RUN)
    began = time.monotonic()
    stack.manage(
        "from datetime import timedelta; from django.utils import timezone; import uuid; "
        "from studio.jobs.models import Job; "
        f"Job.objects.filter(pk={lost}).update(state='running', worker='lost:1', attempt=1, lease_token=uuid.uuid4(), "
        "lease_expires_at=timezone.now() - timedelta(seconds=1))"
    )
    wait_for(lambda: stack.job(lost)["state"] == "queued", 10, "the expired lease is reaped by a light task")
    print(f"reaped after {time.monotonic() - began:.1f} s")
    assert all(stack.job(run)["state"] == "running" for run in runs)
