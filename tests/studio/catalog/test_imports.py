"""Beginning imports, and what their pages say; tests/workers/test_imports.py does them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from simcore.events import Finished, Started
from studio.catalog.imports import ImportFacts, import_create
from studio.catalog.models import Teacher, Upload
from studio.catalog.refusals import Conflict, Refused
from studio.catalog.storage import entries_folder, entry_folder, uploads_folder
from studio.catalog.uploads import upload_create
from studio.celery import LIGHT_QUEUE
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.jobs.services import job_end
from tests.conftest import teacher_card
from tests.studio.builders import claim, record, token_of
from tests.studio.catalog.conftest import images_zip, some_dataset, uploaded

PICKLE = b"\x80\x04" + bytes(600)
SAFETENSORS = (2).to_bytes(8, "little") + b"{}" + bytes(600)


@pytest.fixture(autouse=True)
def bell(redis_server: None) -> None:
    """Queueing a job rings."""


def begin(client: Client, **fields: Any) -> Any:
    return client.post("/imports/", fields)


def fail(reason: str) -> Job:
    job = claim("w", LIGHT_QUEUE)
    job_end(job.pk, token_of(job), JobState.FAILED, reason=reason)
    return Job.objects.get(pk=job.pk)


def test_an_upload_becomes_a_job_with_what_was_said_of_it(ada: Client, user: Any) -> None:
    upload = uploaded(user, PICKLE, "edm-cifar10.pkl")
    dataset = some_dataset(user)
    answer = begin(ada, upload=str(upload.pk), title="EDM", licence="CC", source="https://x.org", dataset=dataset.pk)
    job = Job.objects.get()
    assert answer["Location"] == f"/imports/{job.pk}/"
    assert (job.kind, job.queue, job.owner) == ("import-teacher", LIGHT_QUEUE, user)
    said = ("name", "title", "licence", "source", "dataset", "network")
    assert [job.spec[name] for name in said] == ["edm-cifar10.pkl", "EDM", "CC", "https://x.org", dataset.pk, None]
    page = ada.get(answer["Location"]).content.decode()
    assert "edm-cifar10.pkl" in page
    assert 'hx-trigger="every 1s"' in page


def test_a_small_file_goes_with_the_form(ada: Client, tmp_path: Path) -> None:
    answer = begin(ada, file=SimpleUploadedFile("shapes.zip", images_zip(tmp_path)))
    assert answer.status_code == 302
    job = Job.objects.get()
    assert (job.kind, job.spec["title"]) == ("import-dataset", "shapes")
    assert Upload.objects.get().job == job


def test_what_the_form_lacks_is_said_beside_its_field_and_the_file_is_kept(ada: Client) -> None:
    answer = begin(ada, file=SimpleUploadedFile("w.safetensors", SAFETENSORS), title="Mine")
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "w.safetensors holds weights alone: say which network" in page
    upload = Upload.objects.get()
    assert f'name="upload" value="{upload.pk}"' in page
    assert 'value="Mine"' in page
    again = begin(ada, upload=str(upload.pk), title="Mine", network="{")
    assert "This is not JSON" in again.content.decode()
    assert f'name="upload" value="{upload.pk}"' in again.content.decode()
    last = begin(ada, upload=str(upload.pk), title="Mine", network=json.dumps({"preconditioning": "edm"}))
    assert last.status_code == 302
    assert Job.objects.get().spec["network"] == {"preconditioning": "edm"}


@pytest.mark.parametrize(
    ("file", "status", "said"),
    [
        (None, 422, "Choose one file."),
        (("a.zip", b""), 422, "a.zip is empty"),
        (("a.zip", b"not an archive" * 99), 415, "a.zip is nothing that can be imported"),
    ],
)
def test_a_file_that_cannot_be_is_refused_and_leaves_nothing(
    ada: Client, file: tuple[str, bytes] | None, status: int, said: str
) -> None:
    answer = begin(ada, **({"file": SimpleUploadedFile(*file)} if file else {"title": "x"}))
    assert answer.status_code == status
    assert said in answer.content.decode()
    assert not Upload.objects.exists()
    assert not Job.objects.exists()
    assert not uploads_folder().exists() or not list(uploads_folder().iterdir())


def test_a_pickle_describes_itself(user: Any) -> None:
    with pytest.raises(Refused, match="leave the network's JSON out"):
        import_create(owner=user, upload=uploaded(user, PICKLE), facts=ImportFacts(network={}))


def test_an_upload_is_imported_once_and_only_when_complete(user: Any) -> None:
    half = upload_create(owner=user, name="half.zip", size=1000)
    with pytest.raises(Refused, match=r"half.zip is not complete: 0 of 1,000 bytes"):
        import_create(owner=user, upload=half, facts=ImportFacts())
    upload = uploaded(user, PICKLE)
    import_create(owner=user, upload=upload, facts=ImportFacts())
    with pytest.raises(Conflict, match="has begun already"):
        import_create(owner=user, upload=upload, facts=ImportFacts())
    assert Job.objects.count() == 1


def test_the_server_side_folder_offers_its_files_and_nothing_else(ada: Client, settings: Any, tmp_path: Path) -> None:
    folder, outside = tmp_path / "shared", tmp_path / "outside"
    (folder / "deep").mkdir(parents=True)
    outside.mkdir()
    for path in (folder / "a.zip", folder / "deep" / "b.zip", outside / "c.zip", folder / ".hidden.zip"):
        path.write_bytes(images_zip(tmp_path))
    (folder / "notes.txt").write_text("no data")
    (folder / "link.zip").symlink_to(outside / "c.zip")
    (folder / "linked").symlink_to(outside)
    (folder / "near.zip").symlink_to(folder / "a.zip")
    settings.IMPORT_FOLDER = folder
    page = ada.get("/imports/").content.decode()
    assert [name for name in ("a.zip", "deep/b.zip", "near.zip") if f'value="{name}"' not in page] == []
    assert not any(name in page for name in ("link.zip", "c.zip", ".hidden", "notes.txt", str(tmp_path)))
    refused = ["../outside/c.zip", str(outside / "c.zip"), "link.zip", "linked/c.zip", "/etc/passwd", "a\0.zip", "x"]
    for path in refused:
        assert begin(ada, path=path).status_code == 422
    for path in refused:
        with pytest.raises(Refused):
            import_create(owner=ada.get("/imports/").wsgi_request.user, path=path, facts=ImportFacts())
    assert not Job.objects.exists()
    assert begin(ada, path="deep/b.zip").status_code == 302
    assert Job.objects.get().spec["path"] == "deep/b.zip"


def test_without_a_folder_the_service_says_how_to_get_one(user: Any) -> None:
    with pytest.raises(Refused, match="SIMSTUDIO_IMPORT_FOLDER"):
        import_create(owner=user, path="a.zip", facts=ImportFacts())


def test_a_failed_import_says_why_and_can_be_tried_again(ada: Client, stranger: Client, user: Any) -> None:
    begin(ada, upload=str(uploaded(user, PICKLE, "bad.pkl").pk))
    job = fail("cannot import bad.pkl: <b>it</b> is damaged")
    page = ada.get(f"/imports/{job.pk}/").content.decode()
    assert "It was not imported" in page
    assert "&lt;b&gt;it&lt;/b&gt; is damaged" in page
    assert "hx-trigger" not in page
    assert "&lt;b&gt;it&lt;/b&gt; is damaged" in ada.get("/imports/").content.decode()
    assert stranger.post(f"/imports/{job.pk}/actions/retry/").status_code == 403
    assert ada.post(f"/imports/{job.pk}/actions/pause/").status_code == 404
    ada.post(f"/imports/{job.pk}/actions/retry/")
    job.refresh_from_db()
    assert job.state == "queued"
    ada.post(f"/imports/{job.pk}/actions/cancel/")
    job.refresh_from_db()
    assert job.state == "cancelled"
    answer = ada.post(f"/imports/{job.pk}/actions/cancel/", follow=True)
    assert "cancel does nothing" in answer.content.decode()


def test_an_import_is_no_run(ada: Client, run: Any, user: Any) -> None:
    begin(ada, upload=str(uploaded(user, PICKLE).pk))
    job = Job.objects.get(kind="import-teacher")
    assert ada.get(f"/runs/{job.pk}/").status_code == 404
    assert ada.get(f"/imports/{run.pk}/").status_code == 404


def test_the_number_of_queries_does_not_grow_with_the_imports(ada: Client, user: Any) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert ada.get("/imports/").status_code == 200
        return len(context)

    def make(count: int) -> None:
        spec = {"name": "a.zip", "title": "a"}
        known = Job.objects.first()
        assert known is not None
        Job.objects.bulk_create(
            Job(kind="import-dataset", queue="light", owner=user, spec=spec, queued_at=known.queued_at, state="failed")
            for _ in range(count)
        )

    begin(ada, upload=str(uploaded(user, PICKLE).pk))
    make(10)
    few = queries()
    make(990)
    assert queries() == few <= 10


@pytest.mark.django_db(transaction=True)
def test_what_the_catalogue_has_is_not_entered_twice(ada: Client, user: Any) -> None:
    ids = []
    for name in ("first", "second"):
        begin(ada, upload=str(uploaded(user, PICKLE, f"{name}.pkl").pk), title=name)
        job = claim("w", LIGHT_QUEUE)
        entry_folder(job.pk, job.attempt).mkdir(parents=True)
        summary = {"card": teacher_card().model_dump(mode="json"), "file_sha256": "3" * 64}
        record(job, Started(step=0, total_steps=1, device="cpu"), Finished(step=1, summary=summary))
        job_end(job.pk, token_of(job), JobState.SUCCEEDED, result=summary)
        ids.append(job.pk)
    assert [teacher.title for teacher in Teacher.objects.all()] == ["first"]
    assert [path.name for path in entries_folder().iterdir()] == [f"{ids[0]}-1"]
    assert not list(uploads_folder().iterdir())
    page = ada.get(f"/imports/{ids[1]}/").content.decode()
    assert re.search(r"it is already in the catalogue as <a href=\"/teachers/\d+/\">first</a>", page)
    assert "3" * 64 in page
    assert "Imported as" in ada.get(f"/imports/{ids[0]}/").content.decode()
