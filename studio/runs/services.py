"""Verbs on runs."""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import transaction

from simcore.config import RunSpec, SpecError
from simcore.presets import find_preset
from studio.accounts.models import User
from studio.catalog.models import Teacher
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.jobs.services import job_create
from studio.pool.needs import training_needs
from studio.runs.distillation import DISTILLATION
from studio.runs.models import Run
from studio.runs.prepare import prepare

logger = logging.getLogger(__name__)


class RunRefused(ValueError):
    """What was asked of runs cannot be; the message says why, for people."""


def check_queue_limit(owner: User, more: int) -> None:
    """Raises RunRefused where `more` runs would exceed what one person may have waiting."""
    waiting = Job.objects.filter(owner=owner, kind=DISTILLATION.name, state=JobState.QUEUED).count()
    if waiting + more > settings.QUEUED_LIMIT:
        raise RunRefused(
            f"{owner.get_username()} has {waiting} runs in the queue; {more} more would exceed the limit of "
            f"{settings.QUEUED_LIMIT}. Cancel some, or wait until they have started."
        )


def run_create(*, owner: User, name: str, preset: str, spec: RunSpec) -> Run:
    """Queue a distillation.

    Raises Teacher.DoesNotExist where the spec's teacher is not in the catalogue, SpecError, and RunRefused beyond the
    queue's limit.
    """
    check_queue_limit(owner, 1)
    teacher = Teacher.objects.get(reference=spec.teacher)
    card = teacher.read_card()
    resolved = prepare(spec, card)
    with transaction.atomic():
        job = job_create(
            kind=DISTILLATION,
            owner=owner,
            spec=resolved.model_dump(mode="json"),
            total_steps=resolved.iterations,
            needs=training_needs(resolved, card.parameters),
        )
        return Run.objects.create(job=job, name=name or _default_name(job, preset), preset=preset, teacher=teacher)


def _default_name(job: Job, preset: str) -> str:
    return f"{preset} {job.pk}"


def demo_run_create(owner: User) -> Run | None:
    """Queue the demo distillation where no run exists yet, and the disk has room for it."""
    if Run.objects.exists():
        return None
    try:
        return run_create(owner=owner, name="Demo: digits", preset="digits-demo", spec=find_preset("digits-demo").spec)
    except SpecError as error:
        logger.warning("the demo run is left out: %s", error)
        return None
