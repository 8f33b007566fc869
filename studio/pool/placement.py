"""Which job fits a worker's free devices, and who has which device."""

from __future__ import annotations

from collections import defaultdict

from django.db.models import Q

from studio.jobs.models import Job
from studio.pool.models import Allocation, Device, Worker


def free_devices(worker: str) -> list[Device] | None:
    """The devices of a worker that no job has, locked until the transaction ends.

    None where the worker takes nothing: it is draining, or has not announced itself.
    """
    row = Worker.objects.filter(name=worker, draining=False).first()
    if row is None:
        return None
    uuids = list(row.devices.values_list("uuid", flat=True))
    # Also the rows of other workers that announce the same device: of two that claim at once, one waits.
    locked = list(Device.objects.select_for_update().filter(uuid__in=uuids).order_by("pk"))
    taken = set(Allocation.objects.filter(device_uuid__in=uuids).values_list("device_uuid", flat=True))
    return [device for device in locked if device.worker_id == row.pk and device.uuid not in taken]


def fits(devices: list[Device]) -> Q:
    """The jobs that these devices are enough for: the k-th largest device bounds what k devices offer."""
    condition = Q(device_count=0)
    sizes: dict[str, list[int]] = defaultdict(list)
    for device in devices:
        sizes[device.kind].append(device.memory)
    for kind, memories in sizes.items():
        for count, memory in enumerate(sorted(memories, reverse=True), start=1):
            condition |= Q(device_kind=kind, device_count=count, device_memory__lte=memory)
    return condition


def allocate(job: Job, devices: list[Device]) -> None:
    """Give the job the smallest of the devices that are enough. Raises IntegrityError where one is taken."""
    enough = [device for device in devices if device.kind == job.device_kind and device.memory >= job.device_memory]
    chosen = sorted(enough, key=lambda device: (device.memory, device.pk))[: job.device_count]
    Allocation.objects.bulk_create([Allocation(job=job, device_uuid=device.uuid) for device in chosen])


def release(job: Job) -> None:
    """The job has no devices any more."""
    Allocation.objects.filter(job=job).delete()


def allocated_uuids(job: Job) -> list[str]:
    """The devices that a job has, in the order in which they were announced."""
    return list(Allocation.objects.filter(job=job).order_by("pk").values_list("device_uuid", flat=True))
