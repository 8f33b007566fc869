"""The Celery application. The studio sends tasks by name; the tasks themselves are in `workers.tasks`."""

from __future__ import annotations

import logging
import os

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "studio.settings")

from django.conf import settings
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

RUNS_QUEUE = "runs"
LIGHT_QUEUE = "light"
QUEUES = (RUNS_QUEUE, LIGHT_QUEUE)


def _ring_schedule(queue: str) -> dict[str, object]:
    period = settings.RING_SECONDS
    return {
        "task": "workers.work",
        "schedule": period,
        "args": (queue,),
        "options": {"queue": queue, "expires": period},
    }


def _keep_logging(**_: object) -> None:
    """Celery leaves logging alone where somebody listens: Django's settings hold for workers, too."""


setup_logging.connect(_keep_logging)


app = Celery("studio")
app.conf.update(
    broker_url=settings.ENVIRONMENT.redis_address(0, for_celery=True),
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={"socket_connect_timeout": 2, "socket_timeout": 30},
    include=["workers.tasks"],
    task_ignore_result=True,
    task_acks_late=False,
    task_default_queue=LIGHT_QUEUE,
    worker_disable_prefetch=True,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    timezone="UTC",
    beat_sync_every=1,  # its file then tells that it is alive
    beat_schedule={
        **{f"ring {queue}": _ring_schedule(queue) for queue in QUEUES},
        "reap": {
            "task": "workers.reap",
            "schedule": settings.RING_SECONDS,
            "options": {"queue": LIGHT_QUEUE, "expires": settings.RING_SECONDS},
        },
        "tidy": {"task": "workers.tidy", "schedule": 600.0, "options": {"queue": LIGHT_QUEUE, "expires": 600.0}},
        "notify": {
            "task": "workers.notify",
            "schedule": settings.RING_SECONDS,
            "options": {"queue": LIGHT_QUEUE, "expires": settings.RING_SECONDS},
        },
    },
)


def ring(queue: str) -> None:
    """Say that a queue has work. A lost ring only costs time: beat rings again."""
    try:
        app.send_task("workers.work", args=(queue,), queue=queue, expires=settings.RING_SECONDS, retry=False)
    except OperationalError as error:
        logger.warning("could not ring for queue %s: %s", queue, error)
