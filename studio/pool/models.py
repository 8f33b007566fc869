"""Workers, the devices they announce, and which job has which device."""

from __future__ import annotations

from django.db import models

from studio.jobs.models import Job


class Worker(models.Model):
    """A worker process, as it announced itself. Silent for LOST_SECONDS, it counts as lost."""

    name = models.CharField(max_length=200, unique=True)
    queues = models.CharField(max_length=100, help_text="separated by commas")
    draining = models.BooleanField(default=False)
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Device(models.Model):
    """Something that trains. Two workers that announce the same `uuid` share it."""

    worker = models.ForeignKey(Worker, on_delete=models.CASCADE, related_name="devices")
    uuid = models.CharField(max_length=300)
    kind = models.CharField(max_length=10)
    name = models.CharField(max_length=100)
    memory = models.PositiveBigIntegerField(help_text="bytes")
    memory_used = models.PositiveBigIntegerField(null=True, help_text="bytes")
    utilisation = models.PositiveIntegerField(null=True, help_text="percent")

    class Meta:
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=["worker", "uuid"], name="device_once_a_worker"),)
        indexes = (models.Index(fields=["uuid"], name="device_by_uuid"),)

    def __str__(self) -> str:
        return f"{self.name} ({self.uuid})"


class Allocation(models.Model):
    """A device that a job holds while it is held itself. One device has one job."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="allocations")
    device_uuid = models.CharField(max_length=300, unique=True)

    def __str__(self) -> str:
        return f"{self.device_uuid} → job {self.job_id}"


class WorkerChange(models.Model):
    """What an administrator did to a worker: the audit trail."""

    worker = models.CharField(max_length=200)
    change = models.CharField(max_length=100)
    actor = models.CharField(max_length=200)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.worker}: {self.change} by {self.actor}"
