"""Verbs on the order of the queue: by priority, then by age; moving a job changes both as little as it can."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from django.db import transaction

from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.jobs.services import job_noted

Direction = Literal["first", "up", "down", "last"]
DIRECTIONS: tuple[Direction, ...] = ("first", "up", "down", "last")
HIGHEST_PRIORITY = 100
_TICK = timedelta(microseconds=1)


class QueueError(ValueError):
    """The order cannot be changed so; the message is for people."""


def job_set_priority(job: Job, priority: int, *, actor: str) -> None:
    """Higher goes first, from −100 to 100. Raises QueueError."""
    if abs(priority) > HIGHEST_PRIORITY:
        raise QueueError(f"A priority lies between −{HIGHEST_PRIORITY} and {HIGHEST_PRIORITY} (given: {priority}).")
    with transaction.atomic():
        job = _queued(job)
        before, job.priority = job.priority, priority
        if before != priority:
            job.save(update_fields=["priority"])
            job_noted(job, actor=actor, reason=f"priority {before} → {priority}")


def job_move(job: Job, direction: Direction, *, actor: str) -> None:
    """Move a queued job within its queue. Where it stands there already, nothing changes. Raises QueueError."""
    with transaction.atomic():
        # All in one order, whatever their places: two that move at once must not wait for each other.
        waiting = Job.objects.select_for_update().filter(queue=job.queue, state=JobState.QUEUED).order_by("pk")
        jobs = sorted(waiting, key=lambda other: (-other.priority, other.queued_at, other.pk))
        old = next((index for index, other in enumerate(jobs) if other.pk == job.pk), None)
        if old is None:
            raise _not_waiting(Job.objects.get(pk=job.pk))
        new = {"first": 0, "up": old - 1, "down": old + 1, "last": len(jobs) - 1}[direction]
        if old == new or not 0 <= new < len(jobs):
            return
        moved = jobs.pop(old)
        jobs.insert(new, moved)
        _put(jobs, new)
        job_noted(moved, actor=actor, reason=f"moved {direction} in the queue")


def _put(jobs: list[Job], index: int) -> None:
    """Store the place of jobs[index]: directly before its successor, or behind the last."""
    moved = jobs[index]
    if index == len(jobs) - 1:
        last = jobs[index - 1]
        moved.priority, moved.queued_at = last.priority, last.queued_at + _TICK
        moved.save(update_fields=["priority", "queued_at"])
        return
    later = jobs[index + 1]
    moved.priority, moved.queued_at = later.priority, later.queued_at - _TICK
    moved.save(update_fields=["priority", "queued_at"])
    # Whoever stands before it, but not earlier by the clock, makes room.
    for job in reversed(jobs[:index]):
        if job.priority != moved.priority or job.queued_at < moved.queued_at:
            break
        job.queued_at = moved.queued_at - _TICK
        job.save(update_fields=["queued_at"])
        moved = job


def _queued(job: Job) -> Job:
    row = Job.objects.select_for_update().get(pk=job.pk)
    if row.state != JobState.QUEUED:
        raise _not_waiting(row)
    return row


def _not_waiting(job: Job) -> QueueError:
    return QueueError(f"Only jobs that wait have a place in the queue; this one is {JobState(job.state).label}.")
