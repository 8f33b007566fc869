"""Celery tasks. They carry no job: a ring says that there is work, and the database says which."""

from __future__ import annotations

import logging
import os
import socket
import threading
from typing import Any

from celery.signals import worker_shutting_down

from studio.catalog.uploads import leftovers_remove
from studio.celery import app
from studio.common.log_context import log_fields
from studio.jobs.services import job_claim, jobs_reap
from workers.attempt import run_attempt

logger = logging.getLogger(__name__)

WORKER = f"{socket.gethostname()}:{os.getpid()}"
stopping = threading.Event()


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    stopping.set()


@app.task(name="workers.work")
def work(queue: str) -> None:
    """Claim and do the jobs of a queue until none is left."""
    while not stopping.is_set() and (job := job_claim(queue=queue, worker=WORKER)) is not None:
        with log_fields(run_id=job.pk, attempt=job.attempt, worker=WORKER):
            logger.info("job %s: attempt %s begins", job.pk, job.attempt)
            run_attempt(job, stopping)


@app.task(name="workers.reap")
def reap() -> None:
    """Take back the jobs of lost workers."""
    if reaped := jobs_reap():
        logger.warning("%s expired leases were reaped", reaped)


@app.task(name="workers.tidy")
def tidy() -> None:
    """Remove abandoned uploads and what imports left behind."""
    if removed := leftovers_remove():
        logger.info("%s leftovers of uploads and imports were removed", removed)
