"""A worker tells the studio that it is there, what devices it has, and that it lives."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, connections

from studio.celery import RUNS_QUEUE
from studio.pool.services import worker_announce, worker_heartbeat, worker_leave
from workers.devices import Devices, read_devices

logger = logging.getLogger(__name__)


class Presence:
    """Announces a worker, then sends heartbeats from a thread of its own until `leave`."""

    def __init__(self, name: str, queues: list[str]) -> None:
        self._name, self._queues = name, queues
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def leave(self) -> None:
        """End the heartbeats and sign off: a worker that stopped in order is not lost."""
        self._left.set()
        self._thread.join(settings.HEARTBEAT_SECONDS)

    def _run(self) -> None:
        self._try(self._announce)
        while not self._left.wait(settings.HEARTBEAT_SECONDS):
            self._try(self._beat)
        self._try(lambda: worker_leave(self._name))
        connections.close_all()

    def _announce(self) -> None:
        worker_announce(name=self._name, queues=self._queues, devices=self._devices().found)

    def _beat(self) -> None:
        devices = self._devices()
        if not worker_heartbeat(name=self._name, devices=devices.found, complete=devices.complete):
            self._announce()

    def _devices(self) -> Devices:
        """Only what trains needs devices."""
        serves_runs = RUNS_QUEUE in self._queues
        return read_devices(self._name, settings.ENVIRONMENT.devices) if serves_runs else Devices([])

    def _try(self, act: Callable[[], object]) -> None:
        """A database that is away for a while costs heartbeats, not the worker."""
        try:
            act()
        except DatabaseError as error:
            logger.warning("worker %s could not reach the database: %s", self._name, error)
            connections.close_all()
        except Exception:
            logger.exception("worker %s could not say that it lives", self._name)
