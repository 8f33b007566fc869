"""Uploads in parts: what is told, what is kept, what is refused."""

from __future__ import annotations

import io
import json
import os
import shutil
import time
from collections import namedtuple
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from studio.catalog import uploads as services
from studio.catalog.models import Teacher, Upload
from studio.catalog.refusals import Refused
from studio.catalog.services import bundled_teachers_register
from studio.catalog.storage import entries_folder, upload_path, uploads_folder
from studio.catalog.uploads import MOST_BYTES_A_PART, leftovers_remove, upload_append, upload_create
from tests.studio.catalog.conftest import some_dataset, uploaded

ZIP = b"PK\x03\x04" + bytes(996)
ADDRESS = "/imports/uploads/"


def begin(client: Client, **given: Any) -> Any:
    body = {"name": "images.zip", "size": len(ZIP)} | given
    return client.post(ADDRESS, json.dumps(body), content_type="application/json")


def send(client: Client, upload_id: str, part: bytes, offset: object) -> Any:
    return client.patch(
        f"{ADDRESS}{upload_id}/", part, content_type="application/octet-stream", headers={"Upload-Offset": str(offset)}
    )


def test_a_file_arrives_in_parts_and_the_studio_says_where_it_goes_on(ada: Client) -> None:
    begun = begin(ada)
    assert (begun.status_code, begun.json()["offset"], begun.headers["Upload-Offset"]) == (201, 0, "0")
    upload_id = begun.json()["id"]
    assert send(ada, upload_id, ZIP[:600], 0).json()["offset"] == 600
    assert ada.get(f"{ADDRESS}{upload_id}/").json()["offset"] == 600
    assert ada.head(f"{ADDRESS}{upload_id}/").headers["Upload-Offset"] == "600"
    done = send(ada, upload_id, ZIP[600:], 600).json()
    assert (done["offset"], done["kind"]) == (len(ZIP), "images_zip")
    assert upload_path(Upload.objects.get().pk).read_bytes() == ZIP


def test_another_offset_is_a_conflict_that_names_the_right_one_and_changes_nothing(ada: Client) -> None:
    upload_id = begin(ada).json()["id"]
    send(ada, upload_id, ZIP[:600], 0)
    for offset in (0, 599, 601, 10**15):
        answer = send(ada, upload_id, b"x" * 10, offset)
        assert (answer.status_code, answer.json()["offset"]) == (409, 600)
    send(ada, upload_id, ZIP[600:], 600)
    assert upload_path(Upload.objects.get().pk).read_bytes() == ZIP


def test_what_an_interrupted_part_left_is_written_over(user: Any) -> None:
    upload = upload_create(owner=user, name="a.zip", size=len(ZIP))
    upload_path(upload.pk).write_bytes(ZIP[:100] + b"torn")  # the process died before its transaction ended
    upload_append(upload.pk, user, offset=0, part=io.BytesIO(ZIP), length=len(ZIP))
    assert upload_path(upload.pk).read_bytes() == ZIP


def test_a_connection_that_broke_keeps_what_arrived(user: Any) -> None:
    upload = upload_create(owner=user, name="a.zip", size=len(ZIP))
    kept = upload_append(upload.pk, user, offset=0, part=io.BytesIO(ZIP[:700]), length=len(ZIP))
    assert kept.offset == 700


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        ({"size": 5 << 30}, 413, "at most 4.0 GB are taken"),
        ({"size": 0}, 422, "size"),
        ({"size": -1}, 422, "size"),
        ({"size": "many"}, 422, "size"),
        ({"size": 10**30}, 422, "size"),
        ({"name": ""}, 422, "name"),
        ({"name": "x" * 300}, 422, "name"),
        ({"name": "a\0b"}, 400, "NUL"),
        ({"sha256": "abc"}, 422, "64 hexadecimal digits"),
    ],
)
def test_an_upload_that_cannot_end_well_does_not_begin(
    ada: Client, given: dict[str, Any], status: int, said: str
) -> None:
    answer = begin(ada, **given)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert said in answer.json()["detail"].replace("\xa0", " ")
    assert not Upload.objects.exists()
    assert not uploads_folder().exists() or not list(uploads_folder().iterdir())


@pytest.mark.parametrize("body", ["", "[", "[]", "null", "7"])
def test_a_body_that_is_no_object_is_a_bad_request(ada: Client, body: str) -> None:
    answer = ada.post(ADDRESS, body, content_type="application/json")
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]


def test_what_does_not_fit_beside_other_uploads_is_refused_before_it_starts(
    ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")(0, 0, (512 << 20) + 1500)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert begin(ada, size=1000).status_code == 201
    answer = begin(ada, size=1000)
    assert answer.status_code == 507
    assert "500\xa0bytes of the studio" in answer.json()["detail"]


def test_a_full_disk_in_the_middle_keeps_what_was_sent(ada: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    upload_id = begin(ada).json()["id"]
    send(ada, upload_id, ZIP[:600], 0)
    with monkeypatch.context() as patch:
        patch.setattr(services, "upload_path", lambda pk: type(upload_path(pk))("/dev/full"))
        answer = send(ada, upload_id, ZIP[600:], 600)
    assert (answer.status_code, "No space left" in answer.json()["detail"]) == (507, True)
    assert send(ada, upload_id, ZIP[600:], 600).json()["offset"] == len(ZIP)


def test_a_file_of_the_wrong_type_is_refused_with_its_first_part_and_forgotten(ada: Client) -> None:
    upload_id = begin(ada, name="images.zip", size=100_000).json()["id"]
    answer = send(ada, upload_id, b"%PDF-1.7 " + bytes(1000), 0)
    assert answer.status_code == 415
    assert "images.zip is nothing that can be imported: it starts with b'%PDF-1.7'" in answer.json()["detail"]
    assert not Upload.objects.exists()
    assert not list(uploads_folder().iterdir())


def test_more_than_was_announced_is_refused(ada: Client) -> None:
    upload_id = begin(ada).json()["id"]
    answer = send(ada, upload_id, ZIP + b"more", 0)
    assert (answer.status_code, Upload.objects.get().offset) == (413, 0)


def test_a_part_has_a_greatest_size(ada: Client) -> None:
    upload_id = begin(ada, size=MOST_BYTES_A_PART + 9).json()["id"]
    assert send(ada, upload_id, bytes(MOST_BYTES_A_PART + 1), 0).status_code == 413


@pytest.mark.parametrize("offset", ["", "-1", "1.5", "one", "9" * 30])
def test_a_part_without_a_proper_offset_is_a_bad_request(ada: Client, offset: str) -> None:
    upload_id = begin(ada).json()["id"]
    assert send(ada, upload_id, ZIP, offset).status_code == 400


def test_somebody_elses_upload_is_not_found(ada: Client, stranger: Client) -> None:
    upload_id = begin(ada).json()["id"]
    assert stranger.get(f"{ADDRESS}{upload_id}/").status_code == 404
    assert send(stranger, upload_id, ZIP, 0).status_code == 404
    assert stranger.delete(f"{ADDRESS}{upload_id}/").status_code == 404
    assert stranger.post(f"{ADDRESS}{upload_id}/discard/").status_code == 404
    assert stranger.post("/imports/", {"upload": upload_id}).status_code == 404
    assert Upload.objects.get().offset == 0


def test_viewers_upload_nothing(viewer: Client) -> None:
    assert begin(viewer).status_code == 403
    assert viewer.post("/imports/", {"title": "x"}).status_code == 403


def test_an_upload_that_is_discarded_is_gone(ada: Client, user: Any) -> None:
    upload = uploaded(user, ZIP)
    assert ada.delete(f"{ADDRESS}{upload.pk}/").status_code == 204
    assert ada.get(f"{ADDRESS}{upload.pk}/").status_code == 404
    assert not upload_path(upload.pk).exists()


def test_a_file_that_the_catalogue_has_is_not_sent_again(ada: Client, user: Any) -> None:
    some_dataset(user, title="Kittens", sha256="ab" * 32)
    answer = begin(ada, sha256="AB" * 32)
    assert answer.status_code == 409
    assert "already in the catalogue, as the data set Kittens" in answer.json()["detail"]


def test_what_was_abandoned_is_removed_and_the_rest_stays(user: Any) -> None:
    old, fresh = uploaded(user, ZIP, "old.zip"), uploaded(user, ZIP, "fresh.zip")
    Upload.objects.filter(pk=old.pk).update(touched_at=timezone.now() - timedelta(days=2))
    orphan, folder = uploads_folder() / "orphan", entries_folder() / "7-1"
    orphan.touch()
    folder.mkdir(parents=True)
    (folder / "half").touch()
    for path in (orphan, folder):
        os.utime(path, (time.time() - 2 * 86_400,) * 2)
    assert leftovers_remove() == 3
    assert [upload.pk for upload in Upload.objects.all()] == [fresh.pk]
    assert [path.name for path in uploads_folder().iterdir()] == [str(fresh.pk)]
    assert not folder.exists()


def test_a_picture_that_was_drawn_for_a_teacher_is_no_leftover(db: None) -> None:
    bundled_teachers_register()
    folder = entries_folder() / "7-1"
    folder.mkdir(parents=True)
    Teacher.objects.filter(reference="bundled:digits").update(samples=str(folder / "samples.png"))
    os.utime(folder, (time.time() - 2 * 86_400,) * 2)
    assert leftovers_remove() == 0
    assert folder.exists()


def test_names_never_become_paths(user: Any) -> None:
    upload = uploaded(user, ZIP, "../../etc/passwd")
    assert upload.name == "../../etc/passwd"
    assert [path.name for path in uploads_folder().iterdir()] == [str(upload.pk)]


def test_an_empty_name_is_refused_by_the_service_itself(user: Any) -> None:
    with pytest.raises(Refused, match="needs a name"):
        upload_create(owner=user, name="\0 ", size=1)
