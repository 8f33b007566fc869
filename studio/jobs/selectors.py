"""Reads of jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from studio.jobs.lifecycle import ENDED_STATES
from studio.jobs.models import Job, JobEvent


def events_after(job_id: int, seq: int, limit: int) -> list[dict[str, Any]]:
    """The next `limit` events after number `seq`, in order, as watchers receive them."""
    rows = JobEvent.objects.filter(job_id=job_id, seq__gt=seq).order_by("seq")[:limit]
    return [row.as_message() for row in rows]


def event_seq(job_id: int) -> int | None:
    """The number of the newest event; None where there is no such job."""
    return Job.objects.filter(pk=job_id).values_list("event_seq", flat=True).first()


def unsettled_jobs() -> set[int]:
    """The jobs that can still change by themselves, and those that ended within the last minute."""
    recent = timezone.now() - timedelta(minutes=1)
    return set(Job.objects.filter(~Q(state__in=ENDED_STATES) | Q(finished_at__gt=recent)).values_list("pk", flat=True))
