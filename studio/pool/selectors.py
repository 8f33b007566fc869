"""Reads of workers, of the queue, and of the reasons for waiting."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Case, CharField, Q, QuerySet, Value, When
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now
from django.utils import timezone

from studio.jobs.lifecycle import HELD_STATES, JobState
from studio.jobs.models import Job
from studio.pool.disk import disk_problem
from studio.pool.models import Allocation, Device, Worker
from studio.pool.needs import Needs, gib

LOST, DRAINING, ACTIVE = "lost", "draining", "active"


@dataclass
class DeviceRow:
    """A device, and the job that has it."""

    device: Device
    job_id: int | None

    @property
    def memory(self) -> str:
        return gib(self.device.memory)

    @property
    def memory_used(self) -> str:
        return "" if self.device.memory_used is None else gib(self.device.memory_used)


@dataclass
class WorkerRow:
    """A worker with its state (lost, draining, active), devices and jobs."""

    id: int
    name: str
    queues: str
    state: str
    started_at: datetime
    heartbeat_at: datetime
    draining: bool
    devices: list[DeviceRow] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)

    @property
    def chip(self) -> str:
        """The state of a job whose mark says the same."""
        return {LOST: "failed", DRAINING: "paused"}.get(self.state, "running")

    @property
    def heard(self) -> str:
        """The time since its last heartbeat, as in "4 s"."""
        return spoken(max(0.0, (timezone.now() - self.heartbeat_at).total_seconds()))


def _lost_before() -> CombinedExpression:
    return Now() - timedelta(seconds=settings.LOST_SECONDS)


def spoken(seconds: float) -> str:
    """As in "4 s", "3 min", "2 h"."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def workers_with_state() -> QuerySet[Any]:
    """All workers, with `state` by the database's clock."""
    return Worker.objects.annotate(
        state=Case(
            When(heartbeat_at__lt=_lost_before(), then=Value(LOST)),
            When(draining=True, then=Value(DRAINING)),
            default=Value(ACTIVE),
            output_field=CharField(),
        )
    )


def worker_rows() -> list[WorkerRow]:
    """Every worker, with its devices and what it runs, in a constant number of queries."""
    held: dict[str, list[Job]] = {}
    for job in Job.objects.filter(state__in=HELD_STATES).select_related("run").order_by("pk"):
        held.setdefault(job.worker, []).append(job)
    taken = dict(Allocation.objects.values_list("device_uuid", "job_id"))
    return [
        WorkerRow(
            id=worker.pk, name=worker.name, queues=worker.queues, state=worker.state, started_at=worker.started_at,
            heartbeat_at=worker.heartbeat_at, draining=worker.draining, jobs=held.get(worker.name, []),
            devices=[DeviceRow(device, taken.get(device.uuid)) for device in worker.devices.all()],
        )
        for worker in workers_with_state().prefetch_related("devices")
    ]  # fmt: skip


def announced_device() -> str | None:
    """What `device: auto` means here: cuda where a worker that is not lost has a GPU, else cpu; None without worker."""
    kinds = set(Device.objects.filter(worker__in=_living()).values_list("kind", flat=True))
    return "cuda" if "cuda" in kinds else "cpu" if kinds else None


def _living() -> QuerySet[Worker]:
    return Worker.objects.filter(heartbeat_at__gte=_lost_before())


def wait_reasons(jobs: Collection[Job]) -> dict[int, str]:
    """Why each of the jobs that are queued waits, by id; a constant number of queries."""
    queued = [job for job in jobs if job.state == JobState.QUEUED]
    if not queued:
        return {}
    full = disk_problem()
    workers = list(_living().prefetch_related("devices"))
    taken = set(Allocation.objects.values_list("device_uuid", flat=True))
    return {job.pk: full or _wait_reason(job, _serving(job.queue, workers), taken) for job in queued}


def _serving(queue: str, workers: list[Worker]) -> list[Worker]:
    return [worker for worker in workers if queue in worker.queues.split(",")]


def _wait_reason(job: Job, workers: list[Worker], taken: set[str]) -> str:
    if not workers:
        return f"waits: no worker serves the queue “{job.queue}”"
    needs = Needs(job.device_kind, job.device_count, job.device_memory)
    able = [worker for worker in workers if len(_enough(needs, worker)) >= needs.count]
    if not able:
        return f"waits: needs {needs}; {'; '.join(_offer(needs, worker) for worker in workers[:3])}{_more(workers)}"
    taking = [worker for worker in able if not worker.draining]
    if not taking:
        return f"waits: {', '.join(worker.name for worker in able[:3])} drains and takes nothing new"
    free = [w for w in taking if sum(device.uuid not in taken for device in _enough(needs, w)) >= needs.count]
    return "" if free else f"waits for {needs}: {', '.join(worker.name for worker in taking[:3])} is busy"


def _enough(needs: Needs, worker: Worker) -> list[Device]:
    return [device for device in worker.devices.all() if device.kind == needs.kind and device.memory >= needs.memory]


def _offer(needs: Needs, worker: Worker) -> str:
    sizes = sorted((device.memory for device in worker.devices.all() if device.kind == needs.kind), reverse=True)
    return f"{worker.name} has {f'{len(sizes)}, with {gib(sizes[0])} at most' if sizes else 'none'}"


def _more(workers: list[Worker]) -> str:
    return f"; {len(workers) - 3} more have no more" if len(workers) > 3 else ""


def queue_in_order() -> QuerySet[Job]:
    """The jobs that wait, in the order in which a worker that fits them all would take them."""
    waiting = Job.objects.filter(Q(state=JobState.QUEUED)).order_by("queue", "-priority", "queued_at", "pk")
    return waiting.select_related("owner", "run")
