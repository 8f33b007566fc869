"""Teachers and data sets: read, corrected, drawn, deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from studio.accounts.models import User
from studio.catalog.models import Dataset, Teacher
from studio.catalog.services import bundled_teachers_register
from tests.studio.api.test_runs import JSON, errors
from tests.studio.catalog.conftest import some_dataset

TEACHERS, DATASETS = "/api/v1/teachers", "/api/v1/datasets"


@pytest.fixture
def hers(user: Any, teacher: Any) -> Teacher:
    Teacher.objects.filter(pk=teacher.pk).update(owner=user)
    return Teacher.objects.get(pk=teacher.pk)


def test_data_sets_are_listed_told_and_shown(ada: Client, db: None) -> None:
    bundled_teachers_register()
    (row,) = ada.get(DATASETS, {"q": "digits"}).json()["results"]
    assert (row["reference"], row["owner"], row["teachers"]) == ("digits", "", 1)
    assert ada.get(f"{DATASETS}/{row['id']}").json()["card"]["train_count"] == 1437
    picture = ada.get(f"{DATASETS}/{row['id']}/samples")
    assert (picture["Content-Type"], picture.content[:4]) == ("image/png", b"\x89PNG")
    same = ada.get(f"{DATASETS}/{row['id']}/samples", headers={"If-None-Match": picture["ETag"]})
    assert same.status_code == 304
    titles = [row["title"] for row in ada.get(DATASETS, {"ordering": "-title"}).json()["results"]]
    assert titles == sorted(titles, reverse=True)


def test_what_is_said_of_an_entry_is_corrected_by_its_owner(ada: Client, user: Any, hers: Teacher) -> None:
    dataset = some_dataset(user)
    for address in (f"{TEACHERS}/{hers.pk}", f"{DATASETS}/{dataset.pk}"):
        before = ada.get(address).json()
        answer = ada.patch(address, {"licence": "CC0"}, content_type=JSON)
        assert answer.json() == before | {"licence": "CC0"}
        assert list(errors(ada.patch(address, {"title": ""}, content_type=JSON))) == ["title"]
        assert ada.patch(address, {"title": "  "}, content_type=JSON).status_code == 422
        assert list(errors(ada.patch(address, {"sha256": "0"}, content_type=JSON))) == ["sha256"]


def test_a_teacher_that_runs_use_is_not_deleted_and_the_runs_are_named(ada: Client, hers: Teacher, run: Any) -> None:
    refused = ada.delete(f"{TEACHERS}/{hers.pk}")
    assert refused.status_code == 409
    assert refused.json()["used_by"] == ["the run first"]
    assert "used by the run first" in refused.json()["detail"]
    run.job.delete()
    assert ada.delete(f"{TEACHERS}/{hers.pk}").status_code == 204
    assert ada.get(f"{TEACHERS}/{hers.pk}").status_code == 404


def test_a_data_set_that_teachers_name_is_not_deleted(ada: Client, user: Any, hers: Teacher) -> None:
    dataset = some_dataset(user)
    Teacher.objects.filter(pk=hers.pk).update(dataset=dataset)
    refused = ada.delete(f"{DATASETS}/{dataset.pk}")
    assert (refused.status_code, refused.json()["used_by"]) == (
        409,
        [f"the teacher {Teacher.objects.get(pk=hers.pk).title}"],
    )
    Teacher.objects.filter(pk=hers.pk).update(dataset=None)
    assert ada.delete(f"{DATASETS}/{dataset.pk}").status_code == 204


def test_what_ships_with_the_studio_stays_as_it_is(client: Client, db: None) -> None:
    bundled_teachers_register()
    client.force_login(User.objects.create_user("adam", role="administrator"))
    for address in (f"{TEACHERS}/{Teacher.objects.first().pk}", f"{DATASETS}/{Dataset.objects.first().pk}"):  # type: ignore[union-attr]
        assert client.delete(address).status_code == 409
        assert client.patch(address, {"title": "x"}, content_type=JSON).status_code == 409


def test_samples_of_a_teacher_are_drawn_one_job_at_a_time(
    ada: Client, hers: Teacher, redis_server: None, tmp_path: Path
) -> None:
    address = f"{TEACHERS}/{hers.pk}"
    assert ada.get(f"{address}/samples").status_code == 404
    assert ada.post(f"{address}/samples").status_code == 202
    assert ada.get(address).json()["drawing"] is True
    assert ada.post(f"{address}/samples").status_code == 409
    picture = tmp_path / "samples.png"
    picture.write_bytes(b"\x89PNG")
    Teacher.objects.filter(pk=hers.pk).update(samples=str(picture))
    assert ada.get(f"{address}/samples").content == b"\x89PNG"


@pytest.mark.parametrize("address", [TEACHERS, DATASETS])
def test_the_catalogue_takes_as_many_queries_for_a_thousand_entries_as_for_ten(
    ada: Client, user: Any, teacher: Any, address: str
) -> None:
    like: dict[str, Any] = {"owner": user, "card": teacher.card, "title": "t"}

    def fill(first: int, last: int) -> None:
        Dataset.objects.bulk_create(Dataset(reference=f"d{i}", **like) for i in range(first, last))
        data = Dataset.objects.first()
        Teacher.objects.bulk_create(Teacher(reference=f"t{i}", dataset=data, **like) for i in range(first, last))

    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert ada.get(address, {"page_size": 200}).status_code == 200
        return len(context)

    fill(0, 10)
    few = queries()
    fill(10, 1_000)
    assert queries() == few <= 8
