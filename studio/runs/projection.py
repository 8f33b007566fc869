"""What the trainer's events mean to a run: rows for charts, samples, checkpoints and figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.urls import reverse

from simcore.events import Checkpoint, Evaluation, Event, Metrics, Samples, Started
from studio.jobs.models import Job
from studio.runs import models
from studio.runs.blocks import roll_up, unroll


def project(job: Job, events: Sequence[Event]) -> list[dict[str, Any]]:
    """Store the events' rows; return their payloads as watchers receive them."""
    points: list[models.Metric] = []
    payloads = []
    for event in events:
        payload = event.model_dump()
        if isinstance(event, Started):
            _insert_points(points)
            points = []
            _supersede(job, event)
        elif isinstance(event, Metrics):
            points += _points(job, event.step, event.values)
        elif isinstance(event, Samples):
            payload |= _store_samples(job, event)
        elif isinstance(event, Checkpoint):
            payload |= _store_checkpoint(job, event)
        elif isinstance(event, Evaluation):
            points += _store_evaluation(job, event)
        payloads.append(payload)
    _insert_points(points)
    _roll_up(job, points)
    return payloads


def _insert_points(points: list[models.Metric]) -> None:
    models.Metric.objects.bulk_create(points)


def _roll_up(job: Job, points: Sequence[models.Metric]) -> None:
    """An iteration's figures come before the next iteration's, so the steps before the newest are over."""
    if points:
        run = models.Run.objects.only("rolled_up", "series").get(pk=job.pk)
        if new := {point.name for point in points}.difference(run.series):
            run.series = sorted({*run.series, *new})
            run.save(update_fields=["series"])
        unroll(run, min(point.step for point in points))
        roll_up(run, max(point.step for point in points))


def _points(job: Job, step: int, values: dict[str, float]) -> list[models.Metric]:
    return [
        models.Metric(run_id=job.pk, attempt=job.attempt, step=step, name=name, value=value)
        for name, value in values.items()
    ]


def _supersede(job: Job, started: Started) -> None:
    """What the new attempt is going to record anew no longer counts."""
    for model in (models.Metric, models.SampleGrid, models.Checkpoint, models.Evaluation):
        rows = model._default_manager.filter(run_id=job.pk, superseded=False)
        (rows.filter(step__gt=started.step) if started.resumed else rows).update(superseded=True)
    unroll(models.Run.objects.only("rolled_up").get(pk=job.pk), started.step + 1 if started.resumed else 0)


def _path(job: Job, path: str) -> str:
    return f"attempts/{job.attempt}/{path}"


def _store_samples(job: Job, event: Samples) -> dict[str, Any]:
    row = models.SampleGrid.objects.create(
        run_id=job.pk, attempt=job.attempt, step=event.step, source=event.source, path=_path(job, event.path),
        count=event.count, columns=event.columns, nfe=event.nfe,
    )  # fmt: skip
    return {"id": row.pk, "url": reverse("runs:sample", args=(job.pk, row.pk))}


def _store_checkpoint(job: Job, event: Checkpoint) -> dict[str, Any]:
    path = _path(job, event.path)
    # A run paused between a step and its due checkpoint saves that step again when it goes on.
    models.Checkpoint.objects.filter(run_id=job.pk, superseded=False, step=event.step).update(superseded=True)
    row = models.Checkpoint.objects.create(
        run_id=job.pk, attempt=job.attempt, step=event.step, path=path, size=event.size, sha256=event.sha256
    )
    return {"id": row.pk, "url": reverse("runs:checkpoint", args=(job.pk, row.pk))}


def _store_evaluation(job: Job, event: Evaluation) -> list[models.Metric]:
    models.Evaluation.objects.create(
        run_id=job.pk, attempt=job.attempt, step=event.step, source=event.source, values=event.values,
        samples=event.samples, nfe=event.nfe,
    )  # fmt: skip
    return _points(job, event.step, event.values) if event.source == "student" else []
