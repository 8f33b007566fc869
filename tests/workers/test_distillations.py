"""Attempts at tiny distillations of the bundled teacher, by the real trainer."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import connections

from simcore.config import EvaluationSpec, PerformanceSpec, RunSpec, ScheduleSpec
from studio.celery import RUNS_QUEUE
from studio.jobs.lifecycle import UserAction
from studio.jobs.models import Job
from studio.jobs.services import job_act, jobs_reap
from studio.runs.distillation import newest_whole_checkpoint, run_folder
from studio.runs.models import Checkpoint, Evaluation, Metric, Run, SampleGrid
from studio.runs.services import run_create
from tests.stack import wait_for
from tests.studio.builders import claim, expire, sequence
from workers.attempt import attempt_folder, run_attempt
from workers.tasks import reap, work


@pytest.fixture
def launch(user: Any, teacher: Any, redis_server: None, settings: Any, tmp_path: Path) -> Any:
    """Queue a tiny distillation of the bundled teacher."""
    settings.RUNS_FOLDER = tmp_path / "runs"

    def queue(**changes: Any) -> Run:
        spec = RunSpec(
            **{
                "iterations": 6,
                "batch_size": 4,
                "threads": 1,
                "device": "cpu",
                "schedule": ScheduleSpec(samples_every=3, sample_count=20, checkpoint_every=3),
                "evaluation": EvaluationSpec(every=3, samples=100, final_samples=100, teacher_steps=4),
            }
            | changes
        )
        return run_create(owner=user, name="tiny", preset="digits-demo", spec=spec)

    return queue


def attempt() -> Job:
    """Claim the next job and work on it to its end."""
    job = claim()
    run_attempt(job, threading.Event())
    return Job.objects.get(pk=job.pk)


class Working:
    """A worker on the next job, in a thread; `trainer` is its process."""

    def __init__(self) -> None:
        self.job = claim()
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        try:
            run_attempt(self.job, threading.Event())
        finally:
            connections.close_all()

    @property
    def trainer(self) -> psutil.Process:
        folder = str(attempt_folder(self.job))
        (process,) = (child for child in psutil.Process().children() if folder in " ".join(child.cmdline()))
        return process

    def __enter__(self) -> Working:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


def steps(name: str = "student_loss") -> list[int]:
    rows = Metric.objects.filter(name=name, superseded=False).order_by("step")
    return list(rows.values_list("step", flat=True))


def test_a_distillation_runs_to_its_end_and_everything_is_recorded(launch: Any) -> None:
    run = launch()
    job = attempt()
    assert (job.state, job.step, job.reason) == ("succeeded", 6, "")
    assert {"student_frechet", "teacher_frechet", "initial_frechet", "student_accuracy", "iterations"} <= set(
        job.result
    )
    assert steps() == steps("denoiser_loss") == [1, 2, 3, 4, 5, 6]
    assert list(SampleGrid.objects.order_by("step", "source").values_list("source", "step")) == [
        ("student", 0),
        ("teacher", 0),
        ("student", 3),
        ("student", 6),
    ]
    assert list(Evaluation.objects.order_by("step", "source").values_list("source", "step")) == [
        ("student", 0),
        ("teacher", 0),
        ("student", 3),
        ("student", 6),
    ]
    for grid in SampleGrid.objects.all():
        assert (run_folder(run.pk) / grid.path).read_bytes().startswith(b"\x89PNG")
    for row in Checkpoint.objects.all():
        assert (run_folder(run.pk) / row.path).stat().st_size == row.size
    assert newest_whole_checkpoint(run.pk) == attempt_folder(job) / "checkpoints" / "step-000006.safetensors"
    assert json.loads((attempt_folder(job) / "spec.json").read_text()) == job.spec
    assert sequence(job) == list(range(1, job.event_seq + 1))


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_paused_goes_on_where_it_stopped(launch: Any) -> None:
    run = launch(iterations=400, schedule=ScheduleSpec(samples_every=1000, sample_count=20, checkpoint_every=1000))
    with Working():
        wait_for(lambda: Job.objects.get(pk=run.pk).step >= 2, 60, "the run trains")
        job_act(run.job, UserAction.PAUSE, actor="ada")
    paused = Job.objects.get(pk=run.pk)
    assert paused.state == "paused"
    assert 2 <= paused.step < 400
    assert Checkpoint.objects.get().step == paused.step
    job_act(run.job, UserAction.RESUME, actor="ada")
    Job.objects.filter(pk=run.pk).update(spec=paused.spec | {"iterations": paused.step + 2})
    resumed = attempt()
    assert (resumed.state, resumed.attempt) == ("succeeded", 2)
    assert steps() == list(range(1, paused.step + 3))
    assert SampleGrid.objects.filter(step=0, superseded=False).count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_paused_while_it_is_evaluated_goes_on(launch: Any) -> None:
    """The pause saves the step whose own checkpoint is still due."""
    long = EvaluationSpec(every=3, samples=20_000, final_samples=100, teacher_steps=4)
    run = launch(evaluation=long)
    with Working():
        wait_for(lambda: SampleGrid.objects.filter(step=3).exists(), 60, "the samples of step 3, before its evaluation")
        job_act(run.job, UserAction.PAUSE, actor="ada")
    assert Job.objects.get(pk=run.pk).state == "paused"
    assert Checkpoint.objects.get(superseded=False).step == 3
    assert not Evaluation.objects.filter(step=3).exists()
    job_act(run.job, UserAction.RESUME, actor="ada")
    resumed = attempt()
    assert (resumed.state, resumed.reason) == ("succeeded", "")
    assert steps() == [1, 2, 3, 4, 5, 6]
    assert list(Checkpoint.objects.filter(superseded=False).values_list("step", "attempt")) == [(3, 2), (6, 2)]


@pytest.mark.django_db(transaction=True)
def test_a_distillation_whose_trainer_is_killed_is_taken_up_from_its_checkpoint(launch: Any) -> None:
    run = launch(iterations=400, schedule=ScheduleSpec(samples_every=1000, sample_count=20, checkpoint_every=3))
    with Working() as working:
        wait_for(lambda: Checkpoint.objects.exists(), 60, "a first checkpoint")
        working.trainer.kill()
    killed = Job.objects.get(pk=run.pk)
    assert (killed.state, killed.transitions.last().reason) == (  # type: ignore[union-attr]
        "queued",
        "the trainer was killed by SIGKILL",
    )
    last = Checkpoint.objects.order_by("-step").first()
    assert last is not None
    Job.objects.filter(pk=run.pk).update(spec=killed.spec | {"iterations": last.step + 3})
    resumed = attempt()
    assert (resumed.state, resumed.attempt) == ("succeeded", 2)
    assert resumed.events.get(type="started", attempt=2).payload["step"] == last.step
    assert steps() == list(range(1, last.step + 4))


@pytest.mark.django_db(transaction=True)
def test_a_run_of_two_processes_is_paused_goes_on_and_finishes(launch: Any) -> None:
    """Two gloo processes under torchrun on the one CPU device."""
    run = launch(
        iterations=2_000,
        performance=PerformanceSpec(devices=2),
        schedule=ScheduleSpec(samples_every=10_000, sample_count=20, checkpoint_every=10_000),
        evaluation=EvaluationSpec(every=0, samples=100, final_samples=100, teacher_steps=4),
    )
    with Working() as working:
        wait_for(lambda: Job.objects.get(pk=run.pk).step >= 2, 60, "the run trains")
        assert len([child for child in working.trainer.children(recursive=True) if "simcore" in child.cmdline()]) == 2
        job_act(run.job, UserAction.PAUSE, actor="ada")
    paused = Job.objects.get(pk=run.pk)
    assert (paused.state, paused.reason) == ("paused", "")
    assert Checkpoint.objects.get().step == paused.step
    job_act(run.job, UserAction.RESUME, actor="ada")
    Job.objects.filter(pk=run.pk).update(spec=paused.spec | {"iterations": paused.step + 2})
    resumed = attempt()
    assert (resumed.state, resumed.attempt, resumed.reason) == ("succeeded", 2, "")
    assert steps() == list(range(1, paused.step + 3))


def test_a_run_keeps_the_checkpoints_that_its_schedule_names(launch: Any) -> None:
    schedule = ScheduleSpec(samples_every=10, sample_count=20, checkpoint_every=1, keep_last=2, keep_best=False)
    run = launch(schedule=schedule, evaluation=EvaluationSpec(every=0, samples=100, final_samples=100, teacher_steps=4))
    assert attempt().state == "succeeded"
    assert list(Checkpoint.objects.filter(removed=False).values_list("step", flat=True)) == [5, 6]
    found = sorted(path.name for path in run_folder(run.pk).rglob("step-*"))
    assert found == [f"step-{step:06d}.{kind}" for step in (5, 6) for kind in ("clock.json", "safetensors")]


@pytest.mark.django_db(transaction=True)
def test_a_run_pauses_while_the_disk_is_nearly_full_and_goes_on(launch: Any, settings: Any) -> None:
    run = launch(iterations=400, schedule=ScheduleSpec(samples_every=1000, sample_count=20, checkpoint_every=1000))
    with Working():
        wait_for(lambda: Job.objects.get(pk=run.pk).step >= 2, 60, "the run trains")
        settings.DISK_RESERVE = 2**60
        reap()
    paused = Job.objects.get(pk=run.pk)
    assert paused.state == "paused"
    assert paused.hold.startswith("the disk is nearly full: ")
    reap()
    work(RUNS_QUEUE)
    assert Job.objects.get(pk=run.pk).state == "paused"
    settings.DISK_RESERVE = 0
    reap()
    queued = Job.objects.get(pk=run.pk)
    assert (queued.state, queued.hold) == ("queued", "")


def test_a_distillation_whose_lease_was_lost_is_stopped(launch: Any) -> None:
    run = launch()
    job = claim()
    expire(job)
    assert jobs_reap() == 1
    before = Job.objects.filter(pk=run.pk).values().get()
    run_attempt(job, threading.Event())
    assert Job.objects.filter(pk=run.pk).values().get() == before
    assert not [p for p in psutil.Process().children() if str(attempt_folder(job)) in " ".join(p.cmdline())]


def test_from_a_damaged_checkpoint_the_run_goes_back_to_the_one_before(launch: Any) -> None:
    run = launch()
    assert attempt().state == "succeeded"
    checkpoint = newest_whole_checkpoint(run.pk)
    assert checkpoint is not None
    assert "000006" in checkpoint.name
    checkpoint.write_bytes(b"\xff" * checkpoint.stat().st_size)
    Job.objects.filter(pk=run.pk).update(state="queued")
    assert attempt().state == "succeeded"
    assert steps() == [1, 2, 3, 4, 5, 6]
    assert Metric.objects.filter(name="student_loss", superseded=False, attempt=2).count() == 3


def test_a_checkpoint_of_another_run_fails_the_run_and_says_so(launch: Any) -> None:
    run = launch()
    assert attempt().state == "succeeded"
    Job.objects.filter(pk=run.pk).update(state="queued", spec=run.job.spec | {"seed": 1})
    job = attempt()
    assert job.state == "failed"
    assert "belongs to a run with another specification" in job.reason
    assert "Traceback" not in job.reason
    assert steps() == [1, 2, 3, 4, 5, 6]  # nothing of the first attempt is lost


def test_a_teacher_that_cannot_be_read_fails_the_run_and_is_named(launch: Any, tmp_path: Path) -> None:
    run = launch()
    Job.objects.filter(pk=run.pk).update(spec=run.job.spec | {"teacher": "bundled:unicorn"})
    job = attempt()
    assert job.state == "failed"
    assert "no teacher 'bundled:unicorn'; bundled teachers: bundled:checkerboard, bundled:digits" in job.reason


def test_a_specification_that_simcore_refuses_fails_the_run_and_names_the_setting(launch: Any) -> None:
    run = launch()
    Job.objects.filter(pk=run.pk).update(spec=run.job.spec | {"batch_size": 0})
    job = attempt()
    assert job.state == "failed"
    assert "batch_size: Input should be greater than or equal to 1" in job.reason
