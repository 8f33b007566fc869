"""What people want to be told, and what was sent to them."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from studio.jobs.models import Job


class Wishes(models.Model):
    """How one person is told when a run of theirs ends."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="wishes")
    webhook_url = models.CharField(max_length=500, blank=True, default="")
    secret = models.CharField(max_length=100)
    email = models.BooleanField(default=False)
    on_success = models.BooleanField(default=True)
    on_failure = models.BooleanField(default=True)

    def __str__(self) -> str:
        return f"wishes of {self.user_id}"


class Delivery(models.Model):
    """One message, stored with what it is about and sent afterwards, so that none is lost."""

    class Channel(models.TextChoices):
        WEBHOOK = "webhook", "web hook"
        EMAIL = "email", "e-mail"

    class State(models.TextChoices):
        PENDING = "pending", "waiting"
        DELIVERED = "delivered", "delivered"
        GIVEN_UP = "given_up", "given up"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="deliveries")
    job = models.ForeignKey(Job, on_delete=models.CASCADE, null=True, blank=True, related_name="deliveries")
    channel = models.CharField(max_length=20, choices=Channel.choices)
    event = models.CharField(max_length=40)
    body = models.JSONField()
    state = models.CharField(max_length=20, choices=State.choices, default=State.PENDING)
    tries = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField()
    detail = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-pk",)
        indexes = (models.Index(fields=["state", "next_at"], name="delivery_due"),)

    def __str__(self) -> str:
        return f"{self.event} by {self.channel} ({self.state})"
