"""Teachers and data sets: what their pages show, who may change them, what cannot be deleted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from simcore.presets import find_preset
from studio.accounts.models import AuditAction, AuditEntry
from studio.catalog.models import Dataset, Teacher
from studio.catalog.refusals import InUse
from studio.catalog.sampling import SAMPLE_TEACHER, teacher_sample
from studio.catalog.services import bundled_teachers_register, dataset_delete, teacher_delete
from studio.catalog.storage import entries_folder
from studio.jobs.models import Job
from studio.runs.services import run_create
from tests.studio.catalog.conftest import some_dataset


def some_teacher(owner: Any, **changes: Any) -> Teacher:
    """An entry like the bundled digits teacher, under another reference."""
    bundled_teachers_register()
    known = Teacher.objects.get(reference="bundled:digits")
    folder = entries_folder() / "1-1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "teacher.safetensors").write_bytes(b"weights")
    facts = {
        "reference": str(folder), "title": "Mine", "owner": owner, "card": known.card, "sha256": "2" * 64,
        "folder": "1-1",
    }  # fmt: skip
    return Teacher.objects.create(**(facts | changes))


def test_what_ships_is_listed_with_its_facts(ada: Client, catalogue: None) -> None:
    page = ada.get("/teachers/").content.decode()
    assert "Digits, 8×8" in page
    assert "8×8 grey, 10 classes" in page
    page = ada.get("/datasets/").content.decode()
    assert "Digits" in page
    assert "1,797" in page
    assert "MNIST" in page


def test_entering_what_ships_again_changes_nothing(catalogue: None) -> None:
    before = list(Teacher.objects.values()) + list(Dataset.objects.values())
    bundled_teachers_register()
    assert list(Teacher.objects.values()) + list(Dataset.objects.values()) == before


def test_a_teachers_page_shows_all_its_facts(ada: Client, catalogue: None) -> None:
    teacher = Teacher.objects.get(reference="bundled:digits")
    page = ada.get(f"/teachers/{teacher.pk}/").content.decode()
    for fact in (
        teacher.sha256,
        "0.002 to 80",
        "CompactUNet",
        "Fréchet distance",
        "CC BY 4.0",
        "ships with the studio",
    ):
        assert fact in page
    assert re.search(r'href="/datasets/\d+/">Digits', page)
    assert 'href="/runs/new/?teacher=bundled%3Adigits"' in page
    assert "Delete" not in page


def test_a_data_sets_page_shows_its_classes_and_some_of_its_images(ada: Client, catalogue: None) -> None:
    dataset = Dataset.objects.get(reference="mnist")
    page = ada.get(f"/datasets/{dataset.pk}/").content.decode()
    assert page.count("<meter") == 10
    assert dataset.sha256 in page
    picture = ada.get(f"/datasets/{dataset.pk}/samples.png")
    assert picture["Content-Type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")


def test_without_entries_the_pages_say_how_to_get_some(ada: Client) -> None:
    assert "No teachers yet" in ada.get("/teachers/").content.decode()
    assert "No data sets yet" in ada.get("/datasets/").content.decode()


@pytest.mark.parametrize("address", ["/teachers/99/", "/datasets/99/", "/teachers/99/samples.png", "/imports/99/"])
def test_what_is_not_there_is_not_found(ada: Client, address: str) -> None:
    assert ada.get(address).status_code == 404


def test_the_owner_corrects_licence_and_source(ada: Client, user: Any) -> None:
    teacher = some_teacher(user)
    fields = {"title": "Better", "licence": "CC BY-NC-SA 4.0", "source": "https://example.org"}
    assert ada.post(f"/teachers/{teacher.pk}/", fields).status_code == 302
    teacher.refresh_from_db()
    assert (teacher.title, teacher.licence, teacher.source) == tuple(fields.values())
    answer = ada.post(f"/teachers/{teacher.pk}/", fields | {"title": ""})
    assert answer.status_code == 422
    assert "This field is required" in answer.content.decode()
    teacher.refresh_from_db()
    assert teacher.title == "Better"


def test_nobody_else_changes_or_deletes_it(ada: Client, stranger: Client, viewer: Client, user: Any) -> None:
    teacher, dataset = some_teacher(user), some_dataset(user)
    for client in (stranger, viewer):
        for entry in (f"/teachers/{teacher.pk}/", f"/datasets/{dataset.pk}/"):
            assert client.get(entry).status_code == 200
            assert client.post(entry, {"title": "Mine now"}).status_code == 403
            assert client.post(f"{entry}delete/").status_code == 403
    assert viewer.post(f"/teachers/{teacher.pk}/draw/").status_code == 403
    assert Teacher.objects.filter(title="Mine").exists()


def test_what_ships_with_the_studio_stays(admin_client: Client, catalogue: None, user: Any) -> None:
    user.role = "administrator"
    user.save()
    client = Client()
    client.force_login(user)
    teacher = Teacher.objects.get(reference="bundled:digits")
    answer = client.post(f"/teachers/{teacher.pk}/delete/", follow=True)
    assert "ships with the studio and stays" in answer.content.decode()
    answer = client.post(f"/teachers/{teacher.pk}/", {"title": "Other"}, follow=True)
    assert "what is said of it comes with each version" in answer.content.decode()
    assert Teacher.objects.get(pk=teacher.pk).title == teacher.title


def test_deleting_removes_the_entry_and_its_files(ada: Client, user: Any) -> None:
    teacher = some_teacher(user)
    folder = Path(teacher.reference)
    assert folder.exists()
    answer = ada.post(f"/teachers/{teacher.pk}/delete/", follow=True)
    assert "Mine is deleted." in answer.content.decode()
    assert not folder.exists()


def test_a_teacher_that_runs_use_is_not_deleted_and_the_runs_are_named(
    ada: Client, user: Any, redis_server: None
) -> None:
    teacher = some_teacher(user)
    spec = find_preset("digits-demo").spec.model_copy(update={"teacher": teacher.reference})
    for name in ("first try", "second try"):
        run_create(owner=user, name=name, preset="digits-demo", spec=spec)
    answer = ada.post(f"/teachers/{teacher.pk}/delete/", follow=True)
    assert "Mine is used by the run first try, the run second try" in answer.content.decode()
    assert (Path(teacher.reference) / "teacher.safetensors").exists()
    with pytest.raises(InUse) as refusal:
        teacher_delete(teacher, user)
    assert refusal.value.users == ["the run first try", "the run second try"]


def test_a_data_set_that_teachers_were_trained_on_is_not_deleted(user: Any) -> None:
    dataset = some_dataset(user)
    teacher = some_teacher(user, dataset=dataset)
    teacher_id, dataset_id = teacher.pk, dataset.pk
    with pytest.raises(InUse, match="the teacher Mine"):
        dataset_delete(dataset, user)
    teacher_delete(teacher, user)
    dataset_delete(dataset, user)
    assert not Dataset.objects.filter(owner=user).exists()
    deleted = [str(entry) for entry in AuditEntry.objects.filter(action=AuditAction.DELETED).order_by("pk")]
    assert deleted == [f"ada deleted teacher {teacher_id} (Mine)", f"ada deleted dataset {dataset_id} (Mine)"]


def test_samples_are_drawn_once_at_a_time(ada: Client, user: Any, catalogue: None, redis_server: None) -> None:
    teacher = Teacher.objects.get(reference="bundled:digits")
    teacher_sample(teacher, user)
    answer = ada.post(f"/teachers/{teacher.pk}/draw/", follow=True)
    assert "Samples are being drawn already." in answer.content.decode()
    assert "being drawn; reload" in answer.content.decode()
    assert Job.objects.filter(kind=SAMPLE_TEACHER.name).count() == 1


@pytest.mark.parametrize("address", ["/teachers/", "/datasets/"])
def test_the_number_of_queries_does_not_grow_with_the_entries(
    ada: Client, user: Any, catalogue: None, address: str
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert ada.get(address).status_code == 200
        return len(context)

    def enter(first: int, count: int) -> None:
        teacher, dataset = Teacher.objects.get(reference="bundled:digits"), Dataset.objects.get(reference="digits")
        for model, known in ((Teacher, teacher), (Dataset, dataset)):
            model._default_manager.bulk_create(
                model(reference=f"/{n}", title=f"t{n}", owner=user, card=known.card, sha256=f"{n:064x}")
                for n in range(first, first + count)
            )

    enter(0, 10)
    few = queries()
    enter(10, 990)
    assert queries() == few <= 6


def test_html_in_what_people_say_is_text(ada: Client, user: Any) -> None:
    evil = "<script>alert(1)</script>"
    teacher = some_teacher(user, title=evil, licence=evil, source=evil, description=evil)
    for address in ("/teachers/", f"/teachers/{teacher.pk}/"):
        page = ada.get(address).content.decode()
        assert evil not in page
        assert "&lt;script&gt;" in page


@pytest.mark.parametrize("address", ["/teachers/", "/datasets/"])
def test_importing_is_offered_to_those_who_may(ada: Client, viewer: Client, address: str) -> None:
    link = 'href="/imports/"'
    assert link in ada.get(address).content.decode()
    assert link not in viewer.get(address).content.decode()
