"""Verbs on runs."""

from __future__ import annotations

import logging

from django.db import transaction

from simcore.config import RunSpec, SpecError
from simcore.presets import find_preset
from studio.accounts.models import User
from studio.catalog.models import Teacher
from studio.jobs.models import Job
from studio.jobs.services import job_create
from studio.pool.needs import training_needs
from studio.runs.distillation import DISTILLATION
from studio.runs.models import Run
from studio.runs.prepare import prepare

logger = logging.getLogger(__name__)


def run_create(*, owner: User, name: str, preset: str, spec: RunSpec) -> Run:
    """Queue a distillation. Raises Teacher.DoesNotExist where the spec's teacher is not in the catalogue, SpecError."""
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
