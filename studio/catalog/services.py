"""Verbs on teachers and data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from django.db import IntegrityError, transaction

from simcore.dataset_card import SAMPLES, bundled_dataset_cards
from simcore.teacher_card import bundled_references, read_card
from studio.accounts.audit import audit_record
from studio.accounts.models import AuditAction, User
from studio.catalog.models import Dataset, Entry, Teacher
from studio.catalog.refusals import Conflict, InUse, Refused
from studio.catalog.storage import remove_entry_files

TITLES = {"digits": "Digits", "mnist": "MNIST"}
EntryType = TypeVar("EntryType", bound=Entry)


def bundled_teachers_register() -> None:
    """Enter the teachers and data sets that ship with simcore, or bring their entries up to date."""
    for folder, described in bundled_dataset_cards().items():
        Dataset.objects.update_or_create(
            reference=described.reference,
            defaults={
                "title": TITLES[described.name],
                "licence": described.licence,
                "source": described.source,
                "sha256": described.sha256,
                "card": described.model_dump(mode="json"),
                "samples": str(folder / SAMPLES),
            },
        )
    for reference in bundled_references():
        card = read_card(reference)
        Teacher.objects.update_or_create(
            reference=reference,
            defaults={
                "title": card.title,
                "description": card.description,
                "licence": card.licence,
                "source": card.source,
                "sha256": card.sha256,
                "card": card.model_dump(mode="json"),
                "dataset": Dataset.objects.filter(reference=card.dataset).first(),
            },
        )


def entry_change(entry: EntryType, *, title: str, licence: str, source: str) -> EntryType:
    """Correct what people say of an entry. Raises Conflict for what ships with the studio, Refused without a title."""
    if entry.owner_id is None:
        raise Conflict(f"{entry.title} ships with the studio: what is said of it comes with each version.")
    if not (title := title.strip()):
        raise Refused("A title is needed.")
    entry.title, entry.licence, entry.source = title, licence, source
    entry.save()
    return entry


def teacher_delete(teacher: Teacher, actor: User) -> None:
    """Delete a teacher and its files. Raises InUse naming what needs it, Conflict for a bundled one."""
    users = [f"the run {name}" for name in teacher.runs.order_by("pk").values_list("name", flat=True)]
    studies = teacher.arms.order_by("study").values_list("study__title", flat=True).distinct()
    _delete(teacher, [*users, *(f"the study {title}" for title in studies)], actor)


def dataset_delete(dataset: Dataset, actor: User) -> None:
    """Delete a data set and the studio's copy of its file. Raises InUse naming the teachers and runs, Conflict."""
    titles = dataset.teachers.order_by("pk").values_list("title", flat=True)
    names = dataset.runs.order_by("pk").values_list("name", flat=True)
    users = [f"the teacher {title}" for title in titles] + [f"the run {name}" for name in names]
    _delete(dataset, users, actor)


def _delete(entry: Entry, users: list[str], actor: User) -> None:
    if entry.owner_id is None:
        raise Conflict(f"{entry.title} ships with the studio and stays.")
    if users:
        raise InUse(entry.title, users)
    folders = {entry.folder, Path(entry.samples).parent.name if entry.samples else ""}
    try:
        with transaction.atomic():
            subject = f"{entry._meta.verbose_name} {entry.pk} ({entry.title})"
            entry.delete()
            audit_record(AuditAction.DELETED, actor=actor.get_username(), subject=subject)
    except IntegrityError:  # something began to use it between the look and the deletion
        raise InUse(entry.title, ["something that was just made"]) from None
    for folder in folders:
        remove_entry_files(folder)
