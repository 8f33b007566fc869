"""Celery tasks. They carry no job: a ring says that there is work, and the database says which."""

from __future__ import annotations

import logging
import os
import socket
import threading
from typing import Any

from celery.signals import worker_shutting_down

from studio.celery import app
from studio.jobs.services import job_claim, jobs_reap
from studio.notifications.services import deliveries_send
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
        logger.info("job %s: attempt %s begins", job.pk, job.attempt)
        run_attempt(job, stopping)


@app.task(name="workers.reap")
def reap() -> None:
    """Take back the jobs of lost workers."""
    if reaped := jobs_reap():
        logger.warning("%s expired leases were reaped", reaped)


@app.task(name="workers.notify")
def notify() -> None:
    """Send the notifications that are due."""
    deliveries_send()
