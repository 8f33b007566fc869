"""Runs that train a teacher on a data set of the catalogue."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from simcore.config import parse_as
from simcore.pretrain_config import PretrainSpec, standard_spec
from studio.accounts.audit import audit_record
from studio.accounts.models import AuditAction, User
from studio.catalog.models import Dataset
from studio.jobs.services import job_create
from studio.pool.needs import pretraining_needs
from studio.runs.distillation import TEACHER_TRAINING
from studio.runs.fields import all_leaves, nest, value_at
from studio.runs.models import Run
from studio.runs.prepare import prepare_pretraining
from studio.runs.services import check_queue_limit, default_name, subject_of
from studio.runs.specs import errors_below


def standard_for(dataset: Dataset) -> PretrainSpec:
    """What suits the data set: where the form and the API start."""
    return standard_spec(dataset.reference).model_copy(update={"conditional": dataset.read_card().classes > 0})


@transaction.atomic
def teacher_train(*, owner: User, name: str, spec: PretrainSpec) -> Run:
    """Queue the training of a teacher, which enters the catalogue when it succeeds.

    Raises Dataset.DoesNotExist where the spec's data set is not in the catalogue, SpecError, and RunRefused beyond the
    queue's limit.
    """
    check_queue_limit(owner, 1)
    dataset = Dataset.objects.get(reference=spec.dataset)
    resolved, parameters = prepare_pretraining(spec, dataset.read_card())
    job = job_create(
        kind=TEACHER_TRAINING,
        owner=owner,
        spec=resolved.model_dump(mode="json"),
        total_steps=resolved.iterations,
        needs=pretraining_needs(resolved, parameters),
    )
    name = name or default_name(job, f"Teacher of {dataset.title}")[:200]
    run = Run.objects.create(job=job, name=name, dataset=dataset)
    audit_record(AuditAction.RUN_CREATED, actor=owner.get_username(), subject=subject_of(run))
    return run


def teacher_train_on(*, owner: User, name: str, dataset: Dataset, settings: dict[str, Any]) -> Run:
    """As `teacher_train`, with the standard settings but some: dotted path → value.

    Raises SpecError with "settings." before the paths.
    """
    standard = standard_for(dataset).model_dump(mode="json")
    values = {leaf.path: value_at(standard, leaf.path) for leaf in all_leaves(PretrainSpec)}
    with errors_below("settings"):
        spec = parse_as(PretrainSpec, nest(values | settings | {"dataset": dataset.reference}))
        return teacher_train(owner=owner, name=name, spec=spec)
