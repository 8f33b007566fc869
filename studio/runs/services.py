"""Verbs on runs."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.db import transaction

from simcore.config import RunSpec, SpecError
from simcore.presets import find_preset
from studio.accounts.audit import audit_record
from studio.accounts.models import AuditAction, User
from studio.catalog.models import Teacher
from studio.jobs.lifecycle import JobState, UserAction
from studio.jobs.models import Job
from studio.jobs.services import job_act, job_create
from studio.pool.needs import training_needs
from studio.runs.distillation import DISTILLATION, TRAINING_KINDS
from studio.runs.models import Run
from studio.runs.prepare import prepare
from studio.runs.specs import changed_spec, errors_below, preset_start, run_start

logger = logging.getLogger(__name__)


class RunRefused(ValueError):
    """What was asked of runs cannot be; the message says why, for people."""


def check_queue_limit(owner: User, more: int) -> None:
    """Raises RunRefused where `more` runs would exceed what one person may have waiting.

    In a transaction: whoever launches for the same person at once waits until this one is through.
    """
    User.objects.select_for_update().get(pk=owner.pk)
    waiting = Job.objects.filter(owner=owner, kind__in=TRAINING_KINDS, state=JobState.QUEUED).count()
    if waiting + more > settings.QUEUED_LIMIT:
        raise RunRefused(
            f"{owner.get_username()} has {waiting} runs in the queue; {more} more would exceed the limit of "
            f"{settings.QUEUED_LIMIT}. Cancel some, or wait until they have started."
        )


@transaction.atomic
def run_create(*, owner: User, name: str, preset: str, spec: RunSpec) -> Run:
    """Queue a distillation.

    Raises SpecError, also where the catalogue lacks the teacher, and RunRefused beyond the queue's limit.
    """
    check_queue_limit(owner, 1)
    teacher = Teacher.objects.filter(reference=spec.teacher).first()
    if teacher is None:
        raise SpecError({"teacher": f"the catalogue has no teacher “{spec.teacher}”"})
    card = teacher.read_card()
    resolved = prepare(spec, card)
    job = job_create(
        kind=DISTILLATION,
        owner=owner,
        spec=resolved.model_dump(mode="json"),
        total_steps=resolved.iterations,
        needs=training_needs(resolved, card.parameters),
    )
    run = Run.objects.create(job=job, name=name or default_name(job, preset), preset=preset, teacher=teacher)
    audit_record(AuditAction.RUN_CREATED, actor=owner.get_username(), subject=subject_of(run))
    return run


def default_name(job: Job, start: str) -> str:
    """From where its settings came, and its number."""
    return f"{start} {job.pk}"


def run_create_from_preset(*, owner: User, name: str, preset: str, settings: dict[str, Any]) -> Run:
    """Queue a preset with some settings changed: dotted path → value.

    Raises SpecError, with "settings." before the paths, and RunRefused.
    """
    with errors_below("settings"):
        return run_create(owner=owner, name=name, preset=preset, spec=changed_spec(preset_start(preset), settings))


def run_clone(origin: Run, *, owner: User, name: str, settings: dict[str, Any]) -> Run:
    """Queue a run with another run's settings, some changed. Raises SpecError as above, and RunRefused."""
    if origin.dataset:
        raise RunRefused(f"{origin.name} trains a teacher: launch another training with its settings instead.")
    with errors_below("settings"):
        spec = changed_spec(run_start(origin), settings)
        return run_create(owner=owner, name=name or f"{origin.name[:195]} copy", preset=origin.preset, spec=spec)


def run_act(run: Run, action: UserAction, *, actor: User) -> None:
    """Pause, resume, checkpoint, cancel or retry. Raises IllegalMove."""
    with transaction.atomic():
        job_act(run.job, action, actor=actor.get_username())
        audit_record(AuditAction.RUN_ACTION, actor=actor.get_username(), subject=f"{action}: {subject_of(run)}")


def subject_of(run: Run) -> str:
    """In the audit log."""
    return f"run {run.pk} ({run.name})"


@transaction.atomic
def demo_run_create(owner: User) -> Run | None:
    """Queue the demo distillation where no run exists yet, and the disk has room for it."""
    if Run.objects.exists():
        return None
    spec = find_preset("digits-demo").spec
    try:
        run = run_create(owner=owner, name="Demo: digits", preset="digits-demo", spec=spec)
    except SpecError as error:
        logger.warning("the demo run is left out: %s", error)
        return None
    run.demo = True
    run.save(update_fields=["demo"])
    return run
