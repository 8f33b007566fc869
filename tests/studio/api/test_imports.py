"""Uploads in parts and imports, by script."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from studio.accounts.models import Role, User
from studio.catalog.imports import IMPORT_DATASET
from studio.catalog.models import Dataset, Upload
from studio.celery import LIGHT_QUEUE
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.jobs.services import job_end
from tests.studio.api.test_runs import JSON, errors
from tests.studio.builders import claim, log, record, started, token_of
from tests.studio.catalog.conftest import images_zip, own_folders, some_dataset, uploaded

__all__ = ["own_folders"]  # a fixture for every test here

ZIP = b"PK\x03\x04" + bytes(996)
UPLOADS, IMPORTS = "/api/v1/uploads", "/api/v1/imports"


@pytest.fixture
def stranger(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("eve", role=Role.RESEARCHER))
    return client


def begin(client: Client, **given: Any) -> Any:
    return client.post(UPLOADS, {"name": "images.zip", "size": len(ZIP)} | given, content_type=JSON)


def send(client: Client, where: str, part: bytes, offset: object, kind: str = "application/octet-stream") -> Any:
    return client.patch(where, part, content_type=kind, headers={"Upload-Offset": str(offset)})


def start(client: Client, **given: Any) -> Any:
    return client.post(IMPORTS, given, content_type=JSON)


def test_a_file_is_sent_in_parts_and_goes_on_where_the_studio_says(ada: Client) -> None:
    begun = begin(ada, sha256=hashlib.sha256(ZIP).hexdigest())
    where = begun["Location"]
    assert (begun.status_code, where) == (201, f"{UPLOADS}/{begun.json()['id']}")
    assert (begun.json()["offset"], begun.json()["complete"]) == (0, False)
    assert send(ada, where, ZIP[:600], 0).json()["offset"] == 600
    assert ada.get(where).json()["offset"] == 600
    wrong = send(ada, where, ZIP, 0)
    assert (wrong.status_code, wrong.json()["offset"]) == (409, 600)
    done = send(ada, where, ZIP[600:], 600).json()
    assert (done["offset"], done["kind"], done["complete"]) == (len(ZIP), "images_zip", True)
    assert [row["id"] for row in ada.get(UPLOADS).json()["results"]] == [done["id"]]
    assert ada.delete(where).status_code == 204
    assert ada.get(where).status_code == 404
    assert not Upload.objects.exists()


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"size": 5 << 30}, 413),
        ({"size": 0}, 400),
        ({"size": "5"}, 400),
        ({"name": ""}, 400),
        ({"name": "a\0"}, 400),
        ({"name": " "}, 422),
        ({"sha256": "abc"}, 422),
        ({"colour": "red"}, 400),
    ],
)
def test_an_upload_that_cannot_end_well_does_not_begin(ada: Client, given: dict[str, Any], status: int) -> None:
    answer = begin(ada, **given)
    assert answer.status_code == status
    assert status != 400 or list(errors(answer)) == list(given)
    assert not Upload.objects.exists()


def test_a_part_that_cannot_be_taken_changes_nothing(ada: Client) -> None:
    where = begin(ada).json()["id"]
    where = f"{UPLOADS}/{where}"
    assert send(ada, where, ZIP, 0, "application/x-www-form-urlencoded").status_code == 415
    assert list(errors(send(ada, where, ZIP, "ten"))) == ["Upload-Offset"]
    assert send(ada, where, ZIP + b"x", 0).status_code == 413
    assert send(ada, where, bytes((16 << 20) + 1), 0).status_code == 413
    assert ada.get(where).json()["offset"] == 0
    assert send(ada, where, b"not a file of any kind" * 40, 0).status_code == 415
    assert ada.get(where).status_code == 404, "what cannot be imported is not kept"


def test_parts_may_be_larger_than_any_other_request(ada: Client) -> None:
    size = 4 << 20
    where = begin(ada, size=size)["Location"]
    assert send(ada, where, ZIP + bytes(size - len(ZIP)), 0).json()["complete"] is True


def test_somebody_elses_upload_is_not_found(ada: Client, stranger: Client) -> None:
    where = begin(ada)["Location"]
    assert stranger.get(where).status_code == stranger.delete(where).status_code == 404
    assert send(stranger, where, ZIP, 0).status_code == 404
    assert stranger.get(UPLOADS).json()["count"] == 0
    assert ada.get(f"{UPLOADS}/{uuid.uuid4()}").status_code == 404


def test_an_upload_is_imported_and_followed_to_its_verdict(
    ada: Client, user: Any, tmp_path: Path, redis_server: None
) -> None:
    upload = uploaded(user, images_zip(tmp_path))
    dataset = some_dataset(user)
    begun = start(ada, upload=str(upload.pk), title="Mine", licence="CC0")
    assert begun.status_code == 201
    told = ada.get(begun["Location"]).json()
    assert (told["state"], told["running"], told["what"], told["actions"]) == (
        "queued",
        True,
        "data set",
        ["cancel"],
    )
    assert start(ada, upload=str(upload.pk)).status_code == 409, "once only"
    assert ada.delete(f"{UPLOADS}/{upload.pk}").status_code == 409
    job = claim(queue=LIGHT_QUEUE)
    record(job, started(), log("checked"))
    job_end(job.pk, token_of(job), JobState.SUCCEEDED, result={"card": {"sha256": dataset.sha256}, "file_sha256": "f0"})
    told = ada.get(begun["Location"]).json()
    assert told["verdict"] == "Not imported again: it is already in the catalogue as Mine."
    assert (told["entry"]["url"], told["sha256"]) == (f"/api/v1/datasets/{dataset.pk}", "f0")
    assert [line["message"] for line in told["log"]] == ["checked"]
    assert [row["id"] for row in ada.get(IMPORTS).json()["results"]] == [told["id"]]


def test_an_import_is_cancelled_and_tried_again_by_its_owner(
    ada: Client, stranger: Client, user: Any, tmp_path: Path, redis_server: None
) -> None:
    where = start(ada, upload=str(uploaded(user, images_zip(tmp_path)).pk))["Location"]
    assert stranger.post(f"{where}/actions/cancel").status_code == 403
    assert ada.post(f"{where}/actions/cancel").json()["state"] == "cancelled"
    assert ada.post(f"{where}/actions/cancel").status_code == 409
    assert ada.post(f"{where}/actions/pause").status_code == 404
    assert ada.post(f"{where}/actions/retry").json()["state"] == "queued"


def test_files_of_the_import_folder_are_listed_and_imported_by_path(
    ada: Client, settings: Any, tmp_path: Path, redis_server: None
) -> None:
    assert ada.get("/api/v1/import-folder").json()["results"] == []
    settings.IMPORT_FOLDER = tmp_path / "shared"
    settings.IMPORT_FOLDER.mkdir()
    (settings.IMPORT_FOLDER / "mine.zip").write_bytes(images_zip(tmp_path))
    (row,) = ada.get("/api/v1/import-folder").json()["results"]
    assert (row["path"], row["kind"]) == ("mine.zip", "images_zip")
    assert start(ada, path="mine.zip").status_code == 201
    assert Job.objects.get(kind=IMPORT_DATASET.name).spec["path"] == "mine.zip"
    for outside in ("../secret", "/etc/passwd", "nothing.zip"):
        assert start(ada, path=outside).status_code == 422


def test_an_import_that_cannot_begin_says_why(ada: Client, stranger: Client, user: Any) -> None:
    half = begin(ada)["Location"].rsplit("/", 1)[-1]
    whole = str(uploaded(user, b"\x80\x04" + bytes(98), name="a.pkl").pk)
    weights = str(uploaded(user, (2).to_bytes(8, "little") + b"{}", name="a.safetensors").pk)

    def refused(status: int, **given: Any) -> Any:
        answer = start(ada, **given)
        assert answer.status_code == status, answer.json()
        return answer

    assert list(errors(refused(422))) == ["upload"]
    assert list(errors(refused(422, upload=whole, path="a.zip"))) == ["upload"]
    assert list(errors(refused(422, upload=str(uuid.uuid4())))) == ["upload"]
    assert list(errors(refused(422, upload=whole, dataset=999_999))) == ["dataset"]
    assert list(errors(refused(400, upload=7))) == ["upload"]
    assert list(errors(refused(400, upload=whole, network=[]))) == ["network"]
    assert "is not complete" in refused(422, upload=half).json()["detail"]
    assert "say which network" in refused(422, upload=weights).json()["detail"]
    assert "describes its network itself" in refused(422, upload=whole, network={"a": 1}).json()["detail"]
    assert "no NUL" in refused(422, upload=weights, network={"a": "\0"}).json()["detail"]
    assert "at most 20,000" in refused(422, upload=weights, network={"a": "x" * 20_000}).json()["detail"]
    raw = f'{{"upload": "{weights}", "network": {{"a": 1e999}}}}'
    assert "too large" in ada.post(IMPORTS, raw, content_type=JSON).json()["detail"]
    assert list(errors(stranger.post(IMPORTS, {"upload": whole}, content_type=JSON))) == ["upload"]
    assert not Job.objects.exists()
    assert not Dataset.objects.exists()
