"""Launching the training of a teacher: the form, its estimate, bad input, and how such runs stand among others."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError
from django.test import Client

from simcore.pretrain_config import PretrainSpec
from studio.catalog.models import Dataset, Teacher
from studio.jobs.lifecycle import JobState
from studio.jobs.services import job_end
from studio.runs.comparison import differing_settings
from studio.runs.distillation import TEACHER_TRAINING
from studio.runs.fields import all_leaves, show, value_at
from studio.runs.models import Run
from studio.runs.teacher_training import standard_for, teacher_train
from tests.studio.builders import claim, evaluation, metrics, record, started, token_of

CARD = {
    "name": "digits", "reference": "digits", "kind": "bundled", "image_shape": [1, 8, 8], "train_count": 1437,
    "heldout_count": 360, "classes": 10, "licence": "Apache-2.0", "source": "tests", "sha256": "d" * 64, "size": 1,
}  # fmt: skip


@pytest.fixture
def digits(db: None) -> Dataset:
    return Dataset.objects.create(reference="digits", title="Digits", sha256="d" * 64, card=CARD, licence="CC BY 4.0")


@pytest.fixture
def faces(db: None) -> Dataset:
    """Without labels, and of an odd size."""
    card = CARD | {"name": "faces", "reference": "/faces.zip", "classes": 0, "image_shape": [3, 7, 7]}
    return Dataset.objects.create(reference="/faces.zip", title="Faces", sha256="f" * 64, card=card)


@pytest.fixture
def ada(client: Client, user: Any, redis_server: None) -> Client:
    client.force_login(user)
    return client


@pytest.fixture
def training(user: Any, digits: Dataset, redis_server: None) -> Run:
    return teacher_train(owner=user, name="mine", spec=standard_for(digits))


def values(dataset: Dataset, **changes: str) -> dict[str, str]:
    """What the form posts; double underscores stand for dots."""
    standard = standard_for(dataset).model_dump(mode="json")
    shown = {leaf.path: show(value_at(standard, leaf.path)) for leaf in all_leaves(PretrainSpec)}
    ticked = {name: "on" if value == "True" else value for name, value in shown.items() if value != "False"}
    return ticked | {"name": ""} | {path.replace("__", "."): value for path, value in changes.items()}


def test_the_form_launches_what_it_says(ada: Client, digits: Dataset) -> None:
    page = ada.get("/runs/new/teacher/?dataset=digits")
    assert page.status_code == 200
    for leaf in all_leaves(PretrainSpec):
        assert f'name="{leaf.path}"' in page.content.decode()
    answer = ada.post("/runs/new/teacher/", values(digits, network__channel_mult="1, 2, 4", batch_size="64"))
    run = Run.objects.get()
    assert answer.headers["Location"] == f"/runs/{run.pk}/"
    assert (run.name, run.dataset, run.teacher) == (f"Teacher of Digits {run.pk}", digits, None)
    spec = PretrainSpec.model_validate(run.job.spec)
    assert (spec.network.channel_mult, spec.batch_size, spec.conditional) == ((1, 2, 4), 64, True)  # type: ignore[union-attr]
    assert spec.device == "cpu"
    assert (run.job.kind, run.job.device_kind, run.job.device_count) == (TEACHER_TRAINING.name, "cpu", 1)
    assert run.job.device_memory > 5 * 4 * 100_000


def test_the_standard_follows_the_labels(ada: Client, digits: Dataset, faces: Dataset) -> None:
    assert standard_for(digits).conditional
    assert not standard_for(faces).conditional
    assert ada.get("/runs/new/teacher/?dataset=none").status_code == 404


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"conditional": "on"}, "conditional", "faces has no labels"),
        ({}, "network.channel_mult", "images of 7×7 pixels cannot be halved 1 times"),
        ({"network__channel_mult": "1, x"}, "network.channel_mult", "valid integer"),
        ({"network__channel_mult": "99"}, "network.channel_mult", "less than or equal to 16"),
        ({"network__model_channels": "9"}, "network.model_channels", "multiple of 8"),
        ({"batch_size": "0"}, "batch_size", "greater than or equal to 1"),
        ({"performance__accumulation": "3"}, "performance.accumulation", "has to divide the batch size"),
        ({"performance__precision": "fp16"}, "performance.precision", "fp16 needs a GPU"),
        ({"schedule__checkpoint_every": "many"}, "schedule.checkpoint_every", "whole number"),
    ],
)
def test_bad_settings_stand_beside_their_fields(
    ada: Client, faces: Dataset, changes: dict[str, str], field: str, message: str
) -> None:
    answer = ada.post("/runs/new/teacher/", values(faces, **changes))
    assert answer.status_code == 422
    form = answer.context["form"]
    found = " ".join(form.errors.get(field, []) or form.non_field_errors())
    assert message in found, form.errors
    assert not Run.objects.exists()


def test_the_estimate_knows_the_network_and_learns_the_speed(ada: Client, digits: Dataset, training: Run) -> None:
    page = ada.post("/runs/estimate/teacher/", values(digits)).content.decode()
    assert "unknown" in page
    assert "parameters" in page
    job = claim()
    record(job, started(), metrics(1, denoiser_loss=3.0, seconds_per_iteration=0.128))
    job_end(job.pk, token_of(job), JobState.SUCCEEDED)
    assert "about 5 min of training" in ada.post("/runs/estimate/teacher/", values(digits)).content.decode()
    other = values(digits, network__num_blocks="2")
    assert "unknown" in ada.post("/runs/estimate/teacher/", other).content.decode()
    wrong = ada.post("/runs/estimate/teacher/", values(digits, network__channel_mult="1,1,1,1,1"))
    assert "1 setting to correct" in " ".join(wrong.content.decode().split())


def test_without_a_data_set_the_page_says_what_to_do(ada: Client) -> None:
    page = ada.get("/runs/new/teacher/")
    assert page.status_code == 200
    assert "No data set yet" in page.content.decode()


def test_it_stands_in_the_list_on_its_page_and_in_a_comparison(ada: Client, training: Run, run: Run) -> None:
    job = claim()
    assert job.pk == training.pk
    record(
        job, started(), metrics(1, denoiser_loss=3.0), metrics(2000, denoiser_loss=2.0), evaluation(2000, frechet=7.5)
    )
    page = ada.get("/runs/?kind=pretrain").content.decode()
    assert 'Digits <span class="small soft">→ teacher' in page
    assert "<strong" in page
    assert "7.50" in page
    assert "Denoising loss so far" in page
    assert "first" not in ada.get("/runs/?kind=pretrain&q=digits").context["runs"][0].name
    assert [row.name for row in ada.get("/runs/?kind=distil").context["runs"]] == ["first"]
    detail = ada.get(f"/runs/{training.pk}/").content.decode()
    assert "Data set → teacher" in detail
    assert '<span data-out="student">7.50</span>' in detail
    assert "Student loss" not in detail
    assert "student_grad_norm" not in detail
    compared = ada.get(f"/runs/compare/?runs={training.pk},{run.pk}")
    assert compared.status_code == 200
    paths = {row["path"]: row["values"] for row in differing_settings([training, run])}
    assert paths["network.channel_mult"] == ["1, 2", "–"]
    assert paths["objective.name"] == ["–", "sim"]


def test_a_clone_starts_with_its_settings(ada: Client, user: Any, digits: Dataset, run: Run) -> None:
    spec = standard_for(digits).model_copy(update={"batch_size": 77})
    training = teacher_train(owner=user, name="wide", spec=spec)
    page = ada.get(f"/runs/new/?clone={training.pk}", follow=True)
    assert page.redirect_chain == [(f"/runs/new/teacher/?clone={training.pk}", 302)]
    assert page.context["form"]["batch_size"].value() == "77"
    assert page.context["form"]["name"].value() == "wide copy"
    assert ada.get(f"/runs/new/teacher/?clone={run.pk}").status_code == 404


def test_the_queue_limit_counts_both_kinds(ada: Client, digits: Dataset, run: Run, settings: Any) -> None:
    settings.QUEUED_LIMIT = 1
    answer = ada.post("/runs/new/teacher/", values(digits))
    assert answer.status_code == 422
    assert "has 1 runs in the queue" in answer.content.decode()


def test_a_run_has_a_teacher_or_a_data_set(training: Run, teacher: Teacher) -> None:
    training.teacher = teacher
    with pytest.raises(IntegrityError, match="run_of_a_teacher_or_on_a_dataset"):
        training.save()


def test_the_data_sets_page_offers_it_and_names_its_runs(ada: Client, digits: Dataset, training: Run) -> None:
    page = ada.get(f"/datasets/{digits.pk}/").content.decode()
    assert "/runs/new/teacher/?dataset=digits" in page
    assert f'href="/runs/{training.pk}/">mine' in page


def post(client: Client, body: dict[str, object]) -> Any:
    return client.post("/api/v1/teachers/train", body, content_type="application/json")


def test_the_api_launches_it(ada: Client, digits: Dataset) -> None:
    settings = {"iterations": 10, "network.channel_mult": [1, 1], "device": "cpu"}
    answer = post(ada, {"dataset": "digits", "name": "by script", "settings": settings})
    assert answer.status_code == 201, answer.json()
    body = answer.json()
    assert (body["kind"], body["dataset"], body["teacher"], body["name"]) == ("pretrain", "digits", None, "by script")
    assert {path: body["settings"][path] for path in settings} == settings
    assert ada.get(answer.headers["Location"]).json()["id"] == body["id"]
    listed = ada.get("/api/v1/runs?kind=pretrain").json()["results"]
    assert [row["dataset_title"] for row in listed] == ["Digits"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"dataset": "none"}, 422, "dataset"),
        ({"dataset": "digits", "settings": {"network.channel_mult": [0]}}, 422, "settings.network"),
        ({"dataset": "digits", "settings": {"network.channel_mult": "1"}}, 400, "settings.network.channel_mult"),
        ({"dataset": "digits", "settings": {"dataset": "mnist"}}, 400, "settings.dataset"),
        ({"dataset": "digits", "settings": {"objective.name": "sim"}}, 400, "settings.objective.name"),
        ({}, 400, "dataset"),
    ],
)
def test_the_api_names_what_is_wrong(
    ada: Client, digits: Dataset, body: dict[str, object], status: int, field: str
) -> None:
    answer = post(ada, body)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["field"].startswith(field)


def test_the_api_does_not_clone_it_as_a_distillation(ada: Client, training: Run) -> None:
    answer = ada.post(f"/api/v1/runs/{training.pk}/clones", {}, content_type="application/json")
    assert answer.status_code == 409
    assert "ine trains a teacher" in answer.json()["detail"]
    assert Run.objects.count() == 1
