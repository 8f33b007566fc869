"""The disk guard: runs pause before the disk is full, and go on by themselves."""

from __future__ import annotations

from studio.celery import RUNS_QUEUE
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.jobs.services import job_hold, jobs_go_on
from studio.pool.disk import free_bytes, has_recovered, shortage

ACTOR = "disk guard"


def disk_guard(free: int | None = None) -> None:
    """Look at the free space (bytes; None: measured): pause what runs, or let what was paused for it go on."""
    free = free_bytes() if free is None else free
    if why := shortage(free):
        running = Job.objects.filter(queue=RUNS_QUEUE, state=JobState.RUNNING)
        for job_id in list(running.values_list("pk", flat=True)):
            job_hold(job_id, f"{why}; it goes on by itself when there is space", actor=ACTOR)
    elif has_recovered(free):
        jobs_go_on(actor=ACTOR, reason="the disk has space again")
