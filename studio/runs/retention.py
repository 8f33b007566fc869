"""Which checkpoints a run keeps, and removing the others."""

from __future__ import annotations

import logging
import uuid

from django.db import transaction

from simcore.config import ScheduleSpec
from studio.jobs.services import job_renew, job_tell
from studio.runs.distillation import run_folder
from studio.runs.headline import headline_of
from studio.runs.models import Checkpoint, Evaluation, Run

logger = logging.getLogger(__name__)


def checkpoints_tidy(job_id: int, token: uuid.UUID) -> None:
    """Remove the files of the checkpoints that the run's schedule does not keep. Raises LeaseLost.

    Files go first: whatever interrupts this, the next time does the rest.
    """
    run = Run.objects.select_related("job", "teacher", "dataset").filter(pk=job_id).first()
    if run is None or not (rows := superfluous(run)):
        return
    job_renew(job_id, token)
    removed = [row for row in rows if not _is_kept(row) and _unlink(row)]
    with transaction.atomic():
        Checkpoint.objects.filter(pk__in=[row.pk for row in removed]).update(removed=True)
        steps = sorted(row.step for row in removed if not row.superseded)
        if steps:
            job_tell(job_id, token, {"type": "removed", "steps": steps})


def superfluous(run: Run) -> list[Checkpoint]:
    """The checkpoints to remove: never the newest, nor one that something uses; none while the newest is not whole."""
    kept = run.job.spec.get("schedule", {})
    if "keep_last" not in kept:  # a run from before there was such a setting
        return []
    schedule = ScheduleSpec.model_validate(kept)
    live = list(Checkpoint.objects.filter(run=run, superseded=False, removed=False).order_by("-step"))
    if not live or not _has_its_size(live[0]):
        return []
    keep = {row.pk for row in live[: schedule.keep_last]}
    if schedule.keep_every:
        keep |= {row.pk for row in live if row.step % schedule.keep_every == 0}
    if schedule.keep_best:
        keep |= _best(run, live)
    return list(Checkpoint.objects.filter(run=run, removed=False, kept=False).exclude(pk__in=keep))


def _best(run: Run, live: list[Checkpoint]) -> set[int]:
    """The one whose student has the lowest headline figure, a distance; of equals the newest."""
    rows = Evaluation.objects.filter(run=run, source="student", superseded=False)
    name = headline_of(run).name
    figures = {row.step: row.values[name] for row in rows if name in row.values}
    measured = [row for row in live if row.step in figures]
    return {min(measured, key=lambda row: (figures[row.step], -row.step)).pk} if measured else set()


def _is_kept(row: Checkpoint) -> bool:
    """Something may have begun to use it since it was chosen."""
    return Checkpoint.objects.filter(pk=row.pk, kept=True).exists()


def _has_its_size(row: Checkpoint) -> bool:
    path = run_folder(row.run_id) / row.path
    return path.is_file() and path.stat().st_size == row.size


def _unlink(row: Checkpoint) -> bool:
    path = run_folder(row.run_id) / row.path
    try:
        path.unlink(missing_ok=True)
        path.with_suffix(".clock.json").unlink(missing_ok=True)
    except OSError as error:
        logger.warning("run %s: %s cannot be removed: %s", row.run_id, path, error)
        return False
    return True
