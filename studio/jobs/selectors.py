"""Reads of jobs."""

from __future__ import annotations

from typing import Any

from studio.jobs.models import Job, JobEvent


def events_after(job_id: int, seq: int, limit: int) -> list[dict[str, Any]]:
    """The next `limit` events after number `seq`, in order, as watchers receive them."""
    rows = JobEvent.objects.filter(job_id=job_id, seq__gt=seq).order_by("seq")[:limit]
    return [row.as_message() for row in rows]


def event_seq(job_id: int) -> int | None:
    """The number of the newest event; None where there is no such job."""
    return Job.objects.filter(pk=job_id).values_list("event_seq", flat=True).first()
