from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from studio.jobs.models import Job
from studio.jobs.services import LeaseLost, job_end
from studio.runs.distillation import newest_whole_checkpoint, run_folder
from studio.runs.models import Checkpoint
from studio.runs.retention import checkpoints_tidy, superfluous
from studio.runs.services import run_create
from tests.launch_spec import spec_with
from tests.studio.builders import checkpoint, claim, evaluation, record, started, token_of


@pytest.fixture
def written(user: Any, teacher: Any, redis_server: None, settings: Any, tmp_path: Path) -> Any:
    """A running run with checkpoints at 10, 20, … 80 and the best figure at 30."""
    settings.RUNS_FOLDER = tmp_path / "runs"

    def build(**schedule: object) -> Job:
        spec = spec_with({f"schedule.{name}": value for name, value in schedule.items()})
        run_create(owner=user, name="", preset="digits-demo", spec=spec)
        job = claim()
        record(job, started())
        for step in range(10, 90, 10):
            write(job, step)
            record(job, evaluation(step, frechet=1.0 if step == 30 else 2.0), checkpoint(step))
        return job

    return build


def write(job: Job, step: int) -> None:
    path = run_folder(job.pk) / f"attempts/{job.attempt}/checkpoints/{step}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"full")
    path.with_suffix(".clock.json").write_text("{}")


def files(job: Job) -> list[str]:
    return sorted(path.name for path in run_folder(job.pk).rglob("*.safetensors"))


def kept(job: Job) -> list[int]:
    return list(Checkpoint.objects.filter(run_id=job.pk, removed=False).values_list("step", flat=True))


@pytest.mark.parametrize(
    ("schedule", "steps"),
    [
        ({}, [30, 60, 70, 80]),
        ({"keep_best": False}, [60, 70, 80]),
        ({"keep_last": 1, "keep_best": False}, [80]),
        ({"keep_last": 1, "keep_every": 20}, [20, 30, 40, 60, 80]),
        ({"keep_last": 100}, list(range(10, 90, 10))),
    ],
)
def test_the_schedule_says_which_checkpoints_stay(written: Any, schedule: dict[str, Any], steps: list[int]) -> None:
    job = written(**schedule)
    checkpoints_tidy(job.pk, token_of(job))
    assert kept(job) == steps
    assert files(job) == [f"{step}.safetensors" for step in steps]
    assert len(list(run_folder(job.pk).rglob("*.clock.json"))) == len(steps)
    checkpoints_tidy(job.pk, token_of(job))
    assert kept(job) == steps


def test_watchers_hear_which_were_removed(written: Any) -> None:
    job = written()
    checkpoints_tidy(job.pk, token_of(job))
    assert job.events.get(type="removed").payload["steps"] == [10, 20, 40, 50]


def test_what_something_uses_stays(written: Any) -> None:
    job = written()
    Checkpoint.objects.filter(step=10).update(kept=True)
    checkpoints_tidy(job.pk, token_of(job))
    assert kept(job) == [10, 30, 60, 70, 80]


def test_nothing_goes_while_the_newest_is_not_whole(written: Any) -> None:
    job = written(keep_last=1)
    newest = newest_whole_checkpoint(job.pk)
    assert newest is not None
    newest.write_bytes(b"cut")
    assert superfluous(job.run) == []  # type: ignore[attr-defined]


def test_a_worker_without_the_lease_removes_nothing(written: Any) -> None:
    job = written()
    with pytest.raises(LeaseLost):
        checkpoints_tidy(job.pk, uuid.uuid4())
    assert len(files(job)) == 8


def test_what_a_later_attempt_superseded_goes_too(written: Any) -> None:
    job = written(keep_last=1, keep_best=False)
    job_end(job.pk, token_of(job), "queued")  # type: ignore[arg-type]
    again = claim()
    record(again, started(40, resumed=True))
    write(again, 50)
    record(again, checkpoint(50))
    checkpoints_tidy(again.pk, token_of(again))
    assert kept(job) == [50]
    assert files(job) == ["50.safetensors"]


def test_a_file_that_cannot_be_removed_is_tried_again(written: Any) -> None:
    job = written(keep_last=1, keep_best=False)
    stubborn = run_folder(job.pk) / "attempts/1/checkpoints/10.safetensors"
    stubborn.unlink()
    (stubborn / "in the way").mkdir(parents=True)
    checkpoints_tidy(job.pk, token_of(job))
    assert kept(job) == [10, 80]
    (stubborn / "in the way").rmdir()
    stubborn.rmdir()
    checkpoints_tidy(job.pk, token_of(job))
    assert kept(job) == [80]


def test_a_run_from_before_there_was_a_schedule_keeps_everything(written: Any) -> None:
    job = written()
    spec = job.spec
    for name in ("keep_last", "keep_best", "keep_every"):
        del spec["schedule"][name]
    Job.objects.filter(pk=job.pk).update(spec=spec)
    checkpoints_tidy(job.pk, token_of(job))
    assert len(files(job)) == 8


def test_the_page_says_what_was_removed(written: Any, ada: Client) -> None:
    job = written()
    checkpoints_tidy(job.pk, token_of(job))
    page = " ".join(ada.get(f"/runs/{job.pk}/").content.decode().split())
    assert ">4</span> removed to save space: the run keeps the last 3, the best." in page
    gone = Checkpoint.objects.get(step=10)
    assert f"/checkpoints/{gone.pk}/" not in page
    assert ada.get(f"/runs/{job.pk}/checkpoints/{gone.pk}/").status_code == 404
