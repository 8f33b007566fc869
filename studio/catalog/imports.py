"""Imports: jobs of the light queue that check a file and make a teacher or a data set of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from simcore.dataset_card import SAMPLES, DatasetCard
from simcore.events import Event, Finished
from simcore.file_kinds import TEACHER_KINDS
from simcore.teacher_card import TeacherCard
from studio.accounts.models import User
from studio.catalog.folder import folder_path
from studio.catalog.models import Dataset, Entry, Teacher, Upload
from studio.catalog.refusals import Conflict, Refused
from studio.catalog.storage import entry_folder, remove_entry_files, upload_path
from studio.celery import LIGHT_QUEUE
from studio.jobs.models import Job
from studio.jobs.services import job_create

LONGEST_NETWORK = 20_000  # characters of JSON


@dataclass(frozen=True)
class ImportFacts:
    """What people say of the file. `dataset`: what a teacher was trained on; `network`: for files that lack it."""

    title: str = ""
    licence: str = ""
    source: str = ""
    dataset: Dataset | None = None
    network: dict[str, Any] | None = None


def import_create(*, owner: User, facts: ImportFacts, upload: Upload | None = None, path: str = "") -> Job:
    """Queue the import of a complete upload, or of a file of the import folder by its relative path. Raises Refused."""
    with transaction.atomic():
        if upload is not None:
            upload = Upload.objects.select_for_update().get(pk=upload.pk, owner=owner)
            name, kind, file = upload.name, upload.kind, {"upload": str(upload.pk)}
            if upload.job_id is not None:
                raise Conflict(f"The import of {name} has begun already.")
            if not upload.complete:
                raise Refused(f"{name} is not complete: {upload.offset:,} of {upload.size:,} bytes are here.")
        else:
            real, kind = folder_path(path)
            if known := Dataset.objects.filter(reference=str(real)).first():
                raise Conflict(f"This file is already in the catalogue, as the data set {known.title}.")
            name, file = Path(path).name, {"path": path}
        is_teacher = kind in TEACHER_KINDS
        _check_network(name, kind, facts.network)
        spec = {
            "name": name,
            "kind": kind,
            **file,
            "sha256": upload.sha256 if upload else "",
            "title": facts.title or name.rsplit(".", 1)[0],
            "licence": facts.licence,
            "source": facts.source,
            "dataset": facts.dataset.pk if facts.dataset and is_teacher else None,
            "network": facts.network,
        }
        job = job_create(kind=IMPORT_TEACHER if is_teacher else IMPORT_DATASET, owner=owner, spec=spec, total_steps=1)
        if upload is not None:
            upload.job = job
            upload.save()
    return job


def _check_network(name: str, kind: str, network: dict[str, Any] | None) -> None:
    if kind in ("safetensors", "state_dict") and network is None:
        raise Refused(f"{name} holds weights alone: say which network they belong to, as JSON.")
    if kind == "edm_pickle" and network is not None:
        raise Refused(f"{name} describes its network itself: leave the network's JSON out.")
    try:
        text = json.dumps(network, allow_nan=False)
    except ValueError:
        raise Refused("The network's JSON holds a number that is too large to be one.") from None
    if len(text) > LONGEST_NETWORK or "\\u0000" in text:
        raise Refused(f"The network's JSON has at most {LONGEST_NETWORK:,} characters, and no NUL.")


class Import:
    """A kind of job. The web process only ever sees the card that the checking process writes."""

    queue = LIGHT_QUEUE

    def __init__(self, name: str) -> None:
        self.name = name

    def prepare(self, job: Job, folder: Path) -> list[str]:
        """The command; a network's configuration is handed over as a file."""
        spec = job.spec
        file = upload_path(spec["upload"]) if "upload" in spec else (settings.IMPORT_FOLDER / spec["path"]).resolve()
        out = entry_folder(job.pk, job.attempt)
        out.parent.mkdir(parents=True, exist_ok=True)
        options = {
            "out": str(out),
            "name": spec["title"],
            "file-name": spec["name"],
            "sha256": spec["sha256"],
            "licence": spec["licence"],
            "source": spec["source"],
        }
        if spec["network"] is not None:
            (folder / "network.json").write_text(json.dumps(spec["network"]))
            options["spec"] = str(folder / "network.json")
        if spec["dataset"] and (dataset := Dataset.objects.filter(pk=spec["dataset"]).first()):
            options["dataset"] = dataset.reference
        # One argument each, so that no value can pass for an option.
        arguments = [self.name, str(file), "--pipe", *(f"--{name}={value}" for name, value in options.items() if value)]
        return [*arguments, "--keep"] if self is IMPORT_DATASET and "upload" in spec else arguments

    def project(self, job: Job, events: Sequence[Event]) -> list[dict[str, Any]]:
        """Enter what came of it into the catalogue; a file that is there already leads to its entry."""
        for event in events:
            if isinstance(event, Finished):
                _enter(job, event.summary)
        return [event.model_dump() for event in events]


IMPORT_TEACHER = Import("import-teacher")
IMPORT_DATASET = Import("import-dataset")


def _enter(job: Job, summary: dict[str, Any]) -> None:
    """Raises ValidationError for a card that is none."""
    folder = entry_folder(job.pk, job.attempt)
    facts: dict[str, Any] = {"title": job.spec["title"][:200], "owner": job.owner, "job": job, "folder": folder.name}
    if job.kind == IMPORT_TEACHER.name:
        card = TeacherCard.model_validate(summary["card"])
        dataset = Dataset.objects.filter(pk=job.spec["dataset"]).first()
        facts |= {"reference": str(folder), "description": card.description, "dataset": dataset}
        created = enter_once(Teacher, card, facts)
    else:
        described = DatasetCard.model_validate(summary["card"])
        facts |= {"reference": described.reference, "samples": str(folder / SAMPLES)}
        created = enter_once(Dataset, described, facts)
    if not created:
        transaction.on_commit(lambda: remove_entry_files(folder.name))
    if (name := job.spec.get("upload")) is not None:
        transaction.on_commit(lambda: upload_path(name).unlink(missing_ok=True))


def enter_once(model: type[Entry], card: TeacherCard | DatasetCard, facts: dict[str, Any]) -> bool:
    """False where the same content stands in the catalogue already."""
    more = {"card": card.model_dump(mode="json"), "licence": card.licence[:500], "source": card.source}
    _, created = model._default_manager.get_or_create(sha256=card.sha256, defaults={**facts, **more})
    return created


def outcome(job: Job) -> Entry | None:
    """The entry that a finished import made or found."""
    sha256 = ((job.result or {}).get("card") or {}).get("sha256")
    model: type[Entry] = Teacher if job.kind == IMPORT_TEACHER.name else Dataset
    return model._default_manager.filter(sha256=sha256).first() if sha256 else None
