"""One job model for every kind of work, its event log and its audit trail. The table is the queue of record."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from studio.jobs.lifecycle import HELD_STATES, JobState, RequestedAction


class Job(models.Model):
    """A piece of work. While a worker holds it, every write is conditional on `lease_token`."""

    kind = models.CharField(max_length=20)
    queue = models.CharField(max_length=20)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="jobs")
    priority = models.IntegerField(default=0)
    spec = models.JSONField()

    state = models.CharField(max_length=20, choices=JobState.choices, default=JobState.QUEUED)
    requested_action = models.CharField(max_length=20, choices=RequestedAction.choices, blank=True, default="")
    reason = models.TextField(blank=True, default="")
    result = models.JSONField(null=True, blank=True)

    attempt = models.PositiveIntegerField(default=0)
    interruptions = models.PositiveIntegerField(default=0)
    step = models.PositiveBigIntegerField(default=0)
    total_steps = models.PositiveBigIntegerField(default=0)
    event_seq = models.PositiveBigIntegerField(default=0)

    # What a worker must have free to take it; see `pool.needs`. Memory in bytes, of each device.
    device_kind = models.CharField(max_length=10, blank=True, default="")
    device_count = models.PositiveIntegerField(default=0)
    device_memory = models.PositiveBigIntegerField(default=0)
    # Why the studio itself paused it; it goes on by itself.
    hold = models.TextField(blank=True, default="")

    lease_token = models.UUIDField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=200, blank=True, default="")
    device = models.CharField(max_length=100, blank=True, default="")

    created_at = models.DateTimeField(auto_now_add=True)
    queued_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=["queue", "state", "-priority", "queued_at"], name="job_claim_order"),
            models.Index(fields=["state", "lease_expires_at"], name="job_reap_order"),
        )
        constraints = (
            models.CheckConstraint(
                name="job_lease_exactly_while_held",
                condition=Q(state__in=HELD_STATES, lease_token__isnull=False, lease_expires_at__isnull=False)
                | (~Q(state__in=HELD_STATES) & Q(lease_token__isnull=True, lease_expires_at__isnull=True)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} ({self.state})"


class JobTransition(models.Model):
    """One move of a job: the audit trail."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="transitions")
    from_state = models.CharField(max_length=20, choices=JobState.choices, blank=True)
    to_state = models.CharField(max_length=20, choices=JobState.choices)
    actor = models.CharField(max_length=200)
    reason = models.TextField(blank=True, default="")
    at = models.DateTimeField()

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.from_state or 'new'} → {self.to_state}"


class JobEvent(models.Model):
    """One event of a job. `seq` counts 1, 2, 3… per job without gaps, so that watchers can replay."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveBigIntegerField()
    attempt = models.PositiveIntegerField()
    type = models.CharField(max_length=20)
    payload = models.JSONField()
    at = models.DateTimeField()

    class Meta:
        ordering = ("job", "seq")
        constraints = (models.UniqueConstraint(fields=["job", "seq"], name="job_event_seq_once"),)
        indexes = (models.Index(fields=["job", "type", "seq"], name="job_event_by_type"),)

    def __str__(self) -> str:
        return f"{self.job_id}#{self.seq} {self.type}"

    def as_message(self) -> dict[str, object]:
        """What a watcher receives."""
        return {
            **self.payload,
            "seq": self.seq,
            "attempt": self.attempt,
            "type": self.type,
            "at": self.at.isoformat(),
        }
