from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.jobs.services import job_end
from studio.runs.distillation import DISTILLATION, newest_whole_checkpoint, run_folder
from studio.runs.models import Checkpoint, SampleGrid
from tests.studio.builders import bring_to, checkpoint, claim, record, samples, started, token_of


@pytest.fixture
def job(run: Any) -> Job:
    """A running job with whole checkpoints of the steps 10, 20 and 30."""
    job = bring_to(run, JobState.RUNNING)
    for step in (10, 20, 30):
        record(job, checkpoint(step))
        file_of(job, step).parent.mkdir(parents=True, exist_ok=True)
        file_of(job, step).write_bytes(b"full")
    return job


def file_of(job: Job, step: int) -> Path:
    return run_folder(job.pk) / f"attempts/1/checkpoints/{step}.safetensors"


def test_the_newest_checkpoint_is_chosen(job: Job) -> None:
    assert newest_whole_checkpoint(job.pk) == file_of(job, 30)


def test_a_missing_file_is_passed_over(job: Job) -> None:
    file_of(job, 30).unlink()
    assert newest_whole_checkpoint(job.pk) == file_of(job, 20)


def test_a_shortened_file_is_passed_over(job: Job) -> None:
    file_of(job, 30).write_bytes(b"ful")
    file_of(job, 20).write_bytes(b"")
    assert newest_whole_checkpoint(job.pk) == file_of(job, 10)


def test_a_damaged_file_of_the_right_size_is_passed_over(job: Job) -> None:
    file_of(job, 30).write_bytes(b"fuII")
    assert newest_whole_checkpoint(job.pk) == file_of(job, 20)


def test_a_superseded_checkpoint_is_passed_over(job: Job) -> None:
    Checkpoint.objects.filter(step=30).update(superseded=True)
    assert newest_whole_checkpoint(job.pk) == file_of(job, 20)


def test_without_a_whole_checkpoint_there_is_none(job: Job) -> None:
    for step in (10, 20, 30):
        file_of(job, step).unlink()
    assert newest_whole_checkpoint(job.pk) is None


def test_an_attempt_gets_its_spec_and_the_checkpoint_to_go_on_from(job: Job, tmp_path: Path) -> None:
    arguments = DISTILLATION.prepare(job, tmp_path)
    spec = tmp_path / "requested-spec.json"
    assert arguments == [
        "distill",
        "--spec",
        str(spec),
        "--out",
        str(tmp_path),
        "--pipe",
        "--resume",
        str(file_of(job, 30)),
    ]
    assert json.loads(spec.read_text()) == job.spec


def test_a_first_attempt_resumes_nothing(run: Any, tmp_path: Path) -> None:
    assert "--resume" not in DISTILLATION.prepare(run.job, tmp_path)


def test_an_attempt_that_lost_its_checkpoint_of_step_0_records_that_step_anew(run: Any, tmp_path: Path) -> None:
    job = bring_to(run, JobState.RUNNING)
    record(job, samples(0), checkpoint(0))
    job_end(job.pk, token_of(job), JobState.QUEUED)
    second = claim()
    assert "--resume" not in DISTILLATION.prepare(second, tmp_path)
    record(second, started(step=0), samples(0))
    assert list(SampleGrid.objects.filter(superseded=False).values_list("attempt", flat=True)) == [2]
