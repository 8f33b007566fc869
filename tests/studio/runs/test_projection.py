from __future__ import annotations

from typing import Any

import pytest

from simcore.events import Finished
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.jobs.services import job_end
from studio.runs.models import Checkpoint, Evaluation, Metric, SampleGrid
from tests.studio.builders import bring_to, checkpoint, claim, evaluation, metrics, record, samples, started, token_of


@pytest.fixture
def job(run: Any) -> Job:
    return bring_to(run, JobState.RUNNING)


def next_attempt(job: Job) -> Job:
    job_end(job.pk, token_of(job), JobState.QUEUED)
    return claim()


def shown(model: Any) -> list[tuple[int, int]]:
    """(attempt, step) of what is not superseded."""
    return list(model.objects.filter(superseded=False).order_by("step", "pk").values_list("attempt", "step"))


def test_metrics_become_points_of_their_series(job: Job) -> None:
    record(job, metrics(1, student_loss=0.5, denoiser_loss=2.0), metrics(2, student_loss=0.25))
    points = Metric.objects.order_by("step", "name").values_list("name", "step", "value", "attempt")
    assert list(points) == [("denoiser_loss", 1, 2.0, 1), ("student_loss", 1, 0.5, 1), ("student_loss", 2, 0.25, 1)]


def test_samples_become_a_grid_that_watchers_can_fetch(job: Job) -> None:
    record(job, samples(50))
    grid = SampleGrid.objects.get()
    assert (grid.step, grid.source, grid.path) == (50, "student", "attempts/1/samples/student-50.png")
    assert (grid.count, grid.columns, grid.nfe) == (64, 8, 1)
    message = job.events.last().as_message()  # type: ignore[union-attr]
    assert (message["id"], message["url"]) == (grid.pk, f"/runs/{job.pk}/samples/{grid.pk}.png")


def test_a_checkpoint_becomes_a_file_that_people_can_download(job: Job) -> None:
    record(job, checkpoint(250, b"weights"))
    row = Checkpoint.objects.get()
    assert (row.step, row.path, row.size) == (250, "attempts/1/checkpoints/250.safetensors", 7)
    message = job.events.last().as_message()  # type: ignore[union-attr]
    assert (message["id"], message["url"]) == (row.pk, f"/runs/{job.pk}/checkpoints/{row.pk}/")


def test_the_students_evaluation_is_drawn_and_the_teachers_is_not(job: Job) -> None:
    record(job, evaluation(0, "teacher", frechet=1.2), evaluation(0, "student", frechet=138.0, accuracy=0.1))
    assert list(Evaluation.objects.values_list("source", "values")) == [
        ("teacher", {"frechet": 1.2}),
        ("student", {"frechet": 138.0, "accuracy": 0.1}),
    ]
    assert dict(Metric.objects.values_list("name", "value")) == {"frechet": 138.0, "accuracy": 0.1}


def test_the_event_of_the_end_carries_the_summary(job: Job) -> None:
    record(job, Finished(step=2_500, summary={"student_frechet": 3.3}))
    assert job.events.last().as_message()["summary"] == {"student_frechet": 3.3}  # type: ignore[union-attr]


def test_an_attempt_that_resumes_supersedes_what_was_recorded_past_its_step(job: Job) -> None:
    record(job, samples(0), metrics(1), metrics(2), samples(2), evaluation(2), checkpoint(2))
    record(job, metrics(3), samples(3), evaluation(3), checkpoint(3))
    second = next_attempt(job)
    record(second, started(step=2), metrics(3), samples(3))
    losses = Metric.objects.filter(name="student_loss")
    assert list(losses.filter(superseded=False).order_by("step").values_list("attempt", "step")) == [
        (1, 1),
        (1, 2),
        (2, 3),
    ]
    assert list(losses.filter(superseded=True).values_list("attempt", "step")) == [(1, 3)]
    assert shown(SampleGrid) == [(1, 0), (1, 2), (2, 3)]
    assert shown(Evaluation) == [(1, 2)]
    assert shown(Checkpoint) == [(1, 2)]


def test_one_batch_may_end_an_attempts_words_and_begin_anew(job: Job) -> None:
    record(job, metrics(1), metrics(2), started(step=1), metrics(2))
    assert shown(Metric) == [(1, 1), (1, 2)]
    assert Metric.objects.filter(superseded=True).count() == 1


def test_an_attempt_from_the_beginning_supersedes_everything(job: Job) -> None:
    record(job, samples(0, "teacher"), samples(0), evaluation(0), metrics(1))
    second = next_attempt(job)
    record(second, started(step=0), samples(0, "teacher"), samples(0), evaluation(0), metrics(1))
    for model in (Metric, SampleGrid, Evaluation):
        assert {attempt for attempt, _ in shown(model)} == {2}, model


def test_an_attempt_that_resumes_at_step_0_keeps_what_was_recorded_there(job: Job) -> None:
    """A run that is paused during its first evaluation has a checkpoint of step 0, and does not draw again."""
    record(job, samples(0, "teacher"), samples(0), checkpoint(0))
    second = next_attempt(job)
    record(second, started(step=0, resumed=True), evaluation(0), metrics(1))
    assert shown(SampleGrid) == [(1, 0), (1, 0)]
    assert shown(Checkpoint) == [(1, 0)]


def test_a_later_checkpoint_of_the_same_step_takes_the_place_of_the_first(job: Job) -> None:
    """A run that is paused between a step and its due checkpoint saves that step twice."""
    record(job, metrics(250), checkpoint(250))
    second = next_attempt(job)
    record(second, started(step=250), checkpoint(250), metrics(251))
    assert shown(Checkpoint) == [(2, 250)]
    assert Checkpoint.objects.count() == 2
