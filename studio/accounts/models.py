"""People who sign in, the tokens of their scripts, the links by which they join, and who did what."""

from __future__ import annotations

from typing import Any, NoReturn

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q


class Role(models.TextChoices):
    """What a person may do; each includes the one before."""

    VIEWER = "viewer", "Viewer"
    RESEARCHER = "researcher", "Researcher"
    ADMINISTRATOR = "administrator", "Administrator"


class User(AbstractUser):
    """A person. The first administrator starts with a printed one-time password and is asked to replace it."""

    role = models.CharField(max_length=20, choices=Role.choices, default=Role.VIEWER)
    has_initial_password = models.BooleanField(default=False)


class Scope(models.TextChoices):
    """What a token may do for its owner; each includes the one before. It never adds to the owner's role."""

    READ = "read", "Read"
    WRITE = "write", "Read and write"
    ADMIN = "admin", "Everything, people included"


class AccessToken(models.Model):
    """A script's key to the API. Only its SHA-256 is kept; `prefix` tells tokens apart."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    scope = models.CharField(max_length=10, choices=Scope.choices)
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})"


class LinkPurpose(models.TextChoices):
    INVITE = "invite", "Invitation"
    RESET = "reset", "Password reset"


class AccountLink(models.Model):
    """A secret address that works once, until it expires: to join, or to choose a new password."""

    purpose = models.CharField(max_length=10, choices=LinkPurpose.choices)
    digest = models.CharField(max_length=64, unique=True)
    role = models.CharField(max_length=20, choices=Role.choices, blank=True, default="")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-pk",)
        constraints = (
            models.CheckConstraint(
                name="account_link_for_a_role_or_a_person",
                condition=(Q(purpose=LinkPurpose.INVITE, user__isnull=True) & ~Q(role=""))
                | Q(purpose=LinkPurpose.RESET, user__isnull=False, role=""),
            ),
        )

    def __str__(self) -> str:
        return f"{self.purpose} link {self.pk}"


class AuditAction(models.TextChoices):
    """What the audit log records."""

    SIGN_IN = "sign_in", "signed in"
    SIGN_IN_FAILED = "sign_in_failed", "failed to sign in"
    SIGN_OUT = "sign_out", "signed out"
    PASSWORD = "password", "chose a new password"
    TOKEN_CREATED = "token_created", "made an API token"
    TOKEN_REVOKED = "token_revoked", "revoked an API token"
    INVITED = "invited", "made an invitation"
    INVITATION_WITHDRAWN = "invitation_withdrawn", "withdrew an invitation"
    JOINED = "joined", "joined"
    RESET_LINK = "reset_link", "made a password link"
    ROLE = "role", "changed a role"
    DEACTIVATED = "deactivated", "deactivated a person"
    REACTIVATED = "reactivated", "reactivated a person"
    RUN_CREATED = "run_created", "launched a run"
    RUN_ACTION = "run_action", "acted on a run"
    DELETED = "deleted", "deleted"


class AppendOnly(models.QuerySet["AuditEntry"]):
    """Rows are added and read, nothing else."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise TypeError("the audit log is append-only")

    def delete(self) -> NoReturn:
        raise TypeError("the audit log is append-only")


class AuditEntry(models.Model):
    """Who did what, and from where. `actor` is a name, so that the row outlives every other table."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=150)
    action = models.CharField(max_length=30, choices=AuditAction.choices)
    subject = models.CharField(max_length=300, blank=True, default="")
    address = models.CharField(max_length=45, blank=True, default="")

    objects = AppendOnly.as_manager()

    class Meta:
        ordering = ("-pk",)
        indexes = (
            models.Index(fields=["action", "actor", "at"], name="audit_by_actor"),
            models.Index(fields=["action", "address", "at"], name="audit_by_address"),
        )

    def __str__(self) -> str:
        return f"{self.actor} {self.get_action_display()} {self.subject}".strip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise TypeError("the audit log is append-only")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("the audit log is append-only")
