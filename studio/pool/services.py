"""Verbs on workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from studio.celery import ring
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.pool.models import Device, Worker, WorkerChange

FORGET_HOURS = 24


@dataclass(frozen=True)
class DeviceReading:
    """A device as its worker sees it now: memory in bytes, utilisation in percent, None where unknown."""

    uuid: str
    kind: str
    name: str
    memory: int
    memory_used: int | None = None
    utilisation: int | None = None


def worker_announce(*, name: str, queues: Sequence[str], devices: Sequence[DeviceReading]) -> Worker:
    """A worker has started: store it with its devices, and ring for its queues.

    A worker that takes the name of an earlier one, as in a container that was started again, takes its place.
    """
    with transaction.atomic():
        fields = {"queues": ",".join(queues), "draining": False, "started_at": Now(), "heartbeat_at": Now()}
        worker, _ = Worker.objects.update_or_create(name=name, defaults=fields)
        worker.devices.all().delete()
        Device.objects.bulk_create([Device(worker=worker, **vars(reading)) for reading in devices])
        transaction.on_commit(lambda: _ring(worker))
    return worker


def worker_heartbeat(*, name: str, devices: Sequence[DeviceReading], complete: bool = True) -> bool:
    """The worker lives, and these are its devices, all of them where `complete`.

    False where it has to announce itself (again).
    """
    if not Worker.objects.filter(name=name).update(heartbeat_at=Now()):
        return False
    with transaction.atomic():
        _follow_devices(Worker.objects.get(name=name), devices, complete)
    return True


def _follow_devices(worker: Worker, devices: Sequence[DeviceReading], complete: bool) -> None:
    """A device that was found late is added; one that is gone gets no more jobs."""
    found = {reading.uuid: reading for reading in devices}
    known = set(worker.devices.values_list("uuid", flat=True))
    if complete:
        worker.devices.filter(uuid__in=known - set(found)).delete()
    for uuid, reading in found.items():
        if uuid in known:
            now = {"memory_used": reading.memory_used, "utilisation": reading.utilisation}
            worker.devices.filter(uuid=uuid).update(**now)
        else:
            Device.objects.create(worker=worker, **vars(reading))
            transaction.on_commit(lambda: _ring(worker))


def worker_leave(name: str) -> None:
    """The worker has ended in order: it is not lost, it is gone."""
    Worker.objects.filter(name=name).delete()


def workers_forget() -> None:
    """Remove the workers that have been lost for a day."""
    Worker.objects.filter(heartbeat_at__lt=Now() - timedelta(hours=FORGET_HOURS)).delete()


def rings_owed() -> dict[str, int]:
    """For each queue with jobs that wait, one ring less than it has living workers: beat gives the first.

    A worker with threads but no device free takes a ring, too, and Redis serves its listeners in turn.
    """
    silent = Now() - timedelta(seconds=settings.LOST_SECONDS)
    living = Worker.objects.filter(heartbeat_at__gte=silent, draining=False).values_list("queues", flat=True)
    serving = Counter(queue for queues in living for queue in queues.split(","))
    waiting = Job.objects.filter(state=JobState.QUEUED).values_list("queue", flat=True).distinct()
    return {queue: serving[queue] - 1 for queue in waiting if serving[queue] > 1}


def ring_for_all() -> None:
    """See to it that every worker hears of jobs that wait."""
    for queue, rings in rings_owed().items():
        for _ in range(rings):
            ring(queue)


def worker_drain(worker: Worker, *, draining: bool, actor: str) -> None:
    """Let the worker finish what it does and take nothing new, or let it take work again."""
    with transaction.atomic():
        if Worker.objects.filter(pk=worker.pk, draining=not draining).update(draining=draining):
            WorkerChange.objects.create(worker=worker.name, change="drain" if draining else "undrain", actor=actor)
            transaction.on_commit(lambda: _ring(worker))


def _ring(worker: Worker) -> None:
    for queue in worker.queues.split(","):
        ring(queue)
