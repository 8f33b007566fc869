"""Celery tasks. They carry no job: a ring says that there is work, and the database says which."""

from __future__ import annotations

import logging
import os
import socket
import threading
from typing import Any

from celery.signals import worker_ready, worker_shutdown, worker_shutting_down

from studio.catalog.uploads import leftovers_remove
from studio.celery import LIGHT_QUEUE, app
from studio.common.log_context import log_fields
from studio.common.programs import LIGHT_JOBS
from studio.jobs.services import job_claim, jobs_reap
from studio.notifications.services import deliveries_send
from studio.pool.disk import disk_problem
from studio.pool.guard import disk_guard
from studio.pool.services import ring_for_all, workers_forget
from workers.attempt import run_attempt
from workers.presence import Presence

logger = logging.getLogger(__name__)

WORKER = f"{socket.gethostname()}:{os.getpid()}"
stopping = threading.Event()
_presences: list[Presence] = []
_light_slots = threading.BoundedSemaphore(LIGHT_JOBS)


@worker_ready.connect
def _announce(sender: Any, **_: Any) -> None:
    presence = Presence(WORKER, list(sender.app.amqp.queues.consume_from))
    _presences.append(presence)
    presence.start()


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    stopping.set()


@worker_shutdown.connect
def _leave(**_: Any) -> None:
    for presence in _presences:
        presence.leave()


@app.task(name="workers.work")
def work(queue: str) -> None:
    """Claim and do the jobs of a queue until none is left that fits the free devices."""
    if queue != LIGHT_QUEUE:
        _work(queue)
    elif _light_slots.acquire(blocking=False):
        try:
            _work(queue)
        finally:
            _light_slots.release()


def _work(queue: str) -> None:
    while not stopping.is_set():
        if problem := disk_problem():
            logger.warning("nothing is started: %s", problem)
            return
        if (job := job_claim(queue=queue, worker=WORKER)) is None:
            return
        with log_fields(run_id=job.pk, attempt=job.attempt, worker=WORKER):
            logger.info("job %s: attempt %s begins", job.pk, job.attempt)
            run_attempt(job, stopping)


@app.task(name="workers.reap")
def reap() -> None:
    """Take back the jobs of lost workers, forget the long lost, look after the disk, and ring for every worker."""
    if reaped := jobs_reap():
        logger.warning("%s expired leases were reaped", reaped)
    workers_forget()
    disk_guard()
    ring_for_all()


@app.task(name="workers.tidy")
def tidy() -> None:
    """Remove abandoned uploads and what imports left behind."""
    if removed := leftovers_remove():
        logger.info("%s leftovers of uploads and imports were removed", removed)


@app.task(name="workers.notify")
def notify() -> None:
    """Send the notifications that are due."""
    deliveries_send()
