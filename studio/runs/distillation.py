"""The kind of job that distils: how its attempts start, and from where they go on."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings

from simcore.events import Event
from studio.celery import RUNS_QUEUE
from studio.jobs.models import Job
from studio.runs.models import Checkpoint
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
        """Write the spec; go on from the newest checkpoint that is whole."""
        spec = folder / "requested-spec.json"
        spec.write_text(json.dumps(job.spec, indent=2))
        arguments = ["distill", "--spec", str(spec), "--out", str(folder), "--pipe"]
        if checkpoint := newest_whole_checkpoint(job.pk):
            return [*arguments, "--resume", str(checkpoint)]
        Checkpoint.objects.filter(run_id=job.pk).update(superseded=True)
        return arguments

    def project(self, job: Job, events: Sequence[Event]) -> list[dict[str, Any]]:
        """See `projection.project`."""
        return project(job, events)


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


DISTILLATION = Distillation()
