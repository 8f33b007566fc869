"""The kinds of job that train: how their attempts start, from where they go on, and the teacher that comes of one."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from simcore.dataset_card import SAMPLES
from simcore.events import Event, Finished
from simcore.teacher_card import TeacherCard
from studio.catalog.imports import enter_once
from studio.catalog.models import Teacher
from studio.catalog.storage import entry_folder, remove_entry_files
from studio.celery import RUNS_QUEUE
from studio.jobs.models import Job
from studio.runs.models import Checkpoint, Run, SampleGrid
from studio.runs.projection import project

logger = logging.getLogger(__name__)


def run_folder(run_id: int) -> Path:
    """Everything that a run writes lies below."""
    return Path(settings.RUNS_FOLDER) / str(run_id)


class Distillation:
    """Registered with `studio.jobs.kinds`."""

    name = "distil"
    queue = RUNS_QUEUE

    def prepare(self, job: Job, folder: Path) -> list[str]:
        """See `_arguments`."""
        return _arguments("distill", job, folder)

    def project(self, job: Job, events: Sequence[Event]) -> list[dict[str, Any]]:
        """See `projection.project`."""
        return project(job, events)


class TeacherTraining:
    """Registered with `studio.jobs.kinds`."""

    name = "pretrain"
    queue = RUNS_QUEUE

    def prepare(self, job: Job, folder: Path) -> list[str]:
        """See `_arguments`. The teacher's folder is the catalogue's: it outlives the run's files."""
        run = Run.objects.select_related("dataset").get(pk=job.pk)
        assert run.dataset is not None
        out = entry_folder(job.pk, job.attempt)
        out.parent.mkdir(parents=True, exist_ok=True)
        said = {
            "teacher": str(out),
            "title": run.name,
            "licence": run.dataset.licence,
            "source": f"Trained by run {run.pk} on {run.dataset.title}. {run.dataset.source}".strip(),
        }
        # One argument each, so that no value can pass for an option.
        return [*_arguments("pretrain", job, folder), *(f"--{name}={value}" for name, value in said.items())]

    def project(self, job: Job, events: Sequence[Event]) -> list[dict[str, Any]]:
        """See `projection.project`; the finished teacher enters the catalogue."""
        payloads = project(job, events)
        for event in events:
            if isinstance(event, Finished):
                _enter(job, TeacherCard.model_validate(event.summary["card"]))
        return payloads


def _enter(job: Job, card: TeacherCard) -> None:
    """A teacher with the very same weights may be there already; then that one stays."""
    folder = entry_folder(job.pk, job.attempt)
    facts: dict[str, Any] = {
        "reference": str(folder),
        "folder": folder.name,
        "title": card.title[:200],
        "description": card.description,
        "dataset": Run.objects.select_related("dataset").get(pk=job.pk).dataset,
        "owner": job.owner,
        "job": job,
    }
    grid = SampleGrid.objects.filter(run_id=job.pk, superseded=False).order_by("-step").first()
    if grid and (picture := run_folder(job.pk) / grid.path).is_file():
        shutil.copyfile(picture, folder / SAMPLES)
        facts["samples"] = str(folder / SAMPLES)
    if not enter_once(Teacher, card, facts):
        transaction.on_commit(lambda: remove_entry_files(folder.name))


def _arguments(command: str, job: Job, folder: Path) -> list[str]:
    """Write the spec; go on from the newest checkpoint that is whole."""
    spec = folder / "requested-spec.json"
    spec.write_text(json.dumps(job.spec, indent=2))
    arguments = [command, "--spec", str(spec), "--out", str(folder), "--pipe"]
    if checkpoint := newest_whole_checkpoint(job.pk):
        return [*arguments, "--resume", str(checkpoint)]
    return arguments


def newest_whole_checkpoint(run_id: int) -> Path | None:
    """The checkpoint from which the next attempt goes on: the newest one whose file is as it was written."""
    for row in Checkpoint.objects.filter(run_id=run_id, superseded=False, removed=False).order_by("-step"):
        path = run_folder(run_id) / row.path
        if _is_whole(path, row):
            return path
        logger.warning("run %s: %s is missing or damaged; the checkpoint before it is used", run_id, path)
    return None


def _is_whole(path: Path, row: Checkpoint) -> bool:
    if not path.is_file() or path.stat().st_size != row.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == row.sha256


DISTILLATION, TEACHER_TRAINING = Distillation(), TeacherTraining()
TRAINING_KINDS = (DISTILLATION.name, TEACHER_TRAINING.name)
