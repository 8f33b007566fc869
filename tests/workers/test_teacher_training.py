"""Training a teacher, by the real trainer: it enters the catalogue, and can be distilled."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from simcore.config import EvaluationSpec, RunSpec, ScheduleSpec
from simcore.pretrain_config import NetworkSpec, PretrainEvaluationSpec, PretrainSpec
from simcore.teacher_card import read_card
from studio.catalog.models import Dataset, Teacher
from studio.catalog.refusals import InUse
from studio.catalog.services import bundled_teachers_register, dataset_delete
from studio.jobs.lifecycle import UserAction
from studio.jobs.models import Job
from studio.jobs.services import job_act
from studio.runs.distillation import run_folder
from studio.runs.models import Checkpoint, Evaluation, Metric, Run, SampleGrid
from studio.runs.services import run_create
from studio.runs.teacher_training import teacher_train
from tests.studio.builders import claim
from tests.studio.catalog.conftest import own_folders
from workers.attempt import run_attempt

__all__ = ["own_folders"]


@pytest.fixture
def launch(user: Any, redis_server: None, settings: Any, tmp_path: Path) -> Any:
    """Queue the training of a tiny teacher on the digits."""
    settings.RUNS_FOLDER = tmp_path / "runs"
    bundled_teachers_register()

    def queue(name: str = "Tiny teacher", **changes: Any) -> Run:
        spec = PretrainSpec(
            **{
                "iterations": 6,
                "batch_size": 8,
                "threads": 1,
                "device": "cpu",
                "network": NetworkSpec(model_channels=8),
                "schedule": ScheduleSpec(samples_every=3, sample_count=20, checkpoint_every=2, keep_last=1),
                "evaluation": PretrainEvaluationSpec(every=3, samples=100, final_samples=100, steps=2),
            }
            | changes
        )
        return teacher_train(owner=user, name=name, spec=spec)

    return queue


def attempt() -> Job:
    job = claim()
    run_attempt(job, threading.Event())
    return Job.objects.get(pk=job.pk)


def test_a_trained_teacher_enters_the_catalogue_outlives_its_runs_files_and_is_distilled(
    launch: Any, user: Any, client: Client
) -> None:
    run = launch()
    job = attempt()
    assert (job.state, job.step, job.reason) == ("succeeded", 6, "")
    losses = Metric.objects.filter(run=run, name="denoiser_loss").order_by("step")
    assert list(losses.values_list("step", flat=True)) == [1, 2, 3, 4, 5, 6]
    assert list(SampleGrid.objects.values_list("source", "step")) == [("student", 0), ("student", 3), ("student", 6)]
    assert list(Evaluation.objects.values_list("step", flat=True)) == [3, 6]
    kept = Checkpoint.objects.filter(removed=False).exclude(step=4)
    assert list(kept.values_list("step", flat=True)) == [6]  # the last, and of those that were measured the best

    teacher = Teacher.objects.get(job=job)
    digits = Dataset.objects.get(reference="digits")
    assert (teacher.title, teacher.owner, teacher.dataset) == ("Tiny teacher", user, digits)
    assert teacher.licence == digits.licence
    assert f"Trained by run {run.pk} on Digits. Data: UCI" in teacher.source
    assert teacher.read_card() == read_card(teacher.reference)
    evaluation = teacher.read_card().evaluation
    assert evaluation is not None
    assert evaluation.values == Evaluation.objects.get(step=6).values

    shutil.rmtree(run_folder(run.pk))
    client.force_login(user)
    page = client.get(f"/teachers/{teacher.pk}/").content.decode()
    assert client.get(f"/teachers/{teacher.pk}/samples.png").headers["Content-Type"] == "image/png"
    assert f'href="/runs/{run.pk}/">Tiny teacher' in page
    assert f'href="/teachers/{teacher.pk}/">Tiny teacher' in client.get(f"/runs/{run.pk}/").content.decode()
    few = EvaluationSpec(every=0, samples=100, final_samples=100, teacher_steps=2, at_start=False)
    spec = RunSpec(teacher=teacher.reference, iterations=1, batch_size=4, threads=1, device="cpu", evaluation=few)
    run_create(owner=user, name="of it", preset="digits-demo", spec=spec)
    assert attempt().state == "succeeded"


def test_a_training_that_was_paused_goes_on_to_the_very_same_teacher(launch: Any) -> None:
    launch()
    whole = attempt()
    run = launch("again", schedule=ScheduleSpec(samples_every=3, sample_count=20, checkpoint_every=2, keep_last=9))
    stopping = threading.Event()
    job = claim()
    job_act(job, UserAction.PAUSE, actor="ada")
    run_attempt(job, stopping)
    paused = Job.objects.get(pk=run.pk)
    assert (paused.state, paused.step < 6) == ("paused", True)
    job_act(paused, UserAction.RESUME, actor="ada")
    again = attempt()
    assert (again.state, again.attempt) == ("succeeded", 2)
    assert again.result is not None
    assert whole.result is not None
    assert again.result["card"]["sha256"] == whole.result["card"]["sha256"]
    assert Teacher.objects.filter(sha256=again.result["card"]["sha256"]).count() == 1  # found again, not entered twice


def test_a_failing_training_says_why_and_its_data_set_cannot_be_deleted(launch: Any, user: Any, tmp_path: Path) -> None:
    from tests.simcore.datasets.files import named, random_pixels, write_folder

    folder = write_folder(tmp_path / "images", named(random_pixels(10)))
    card = Dataset.objects.get(reference="digits").read_card()
    facts = {"reference": str(folder), "image_shape": (3, 8, 8), "sha256": "1" * 64}
    mine = Dataset.objects.create(
        title="Mine", owner=user, sha256="1" * 64, reference=str(folder),
        card=card.model_copy(update=facts).model_dump(mode="json"),
    )  # fmt: skip
    shutil.rmtree(folder)
    run = launch("lost", dataset=str(folder))
    job = attempt()
    assert job.state == "failed"
    assert "no such file" in job.reason
    assert not Teacher.objects.filter(job=job).exists()
    with pytest.raises(InUse, match="Mine is used by the run lost"):
        dataset_delete(mine, user)
    assert run.measured_on == str(folder)
