"""Verbs on API tokens."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from studio.accounts.audit import audit_record
from studio.accounts.models import AccessToken, AuditAction, Scope, User
from studio.accounts.secrets import digest_of, new_secret

PREFIX = "sim_"
MOST_DAYS = 366
DEFAULT_DAYS = 90
USE_RECORDED_EVERY = timedelta(minutes=1)


def token_create(
    *, user: User, name: str, scope: Scope, days: int = DEFAULT_DAYS, until: datetime | None = None
) -> tuple[AccessToken, str]:
    """A new token that works for `days`, but not beyond `until`; and its secret, which is shown now and never again."""
    expires_at = timezone.now() + timedelta(days=days)
    secret = new_secret(PREFIX)
    with transaction.atomic():
        token = AccessToken.objects.create(
            user=user, name=name, scope=scope, prefix=secret[:12], digest=digest_of(secret),
            expires_at=min(expires_at, until or expires_at),
        )  # fmt: skip
        audit_record(AuditAction.TOKEN_CREATED, actor=user.get_username(), subject=f"{name} ({scope})")
    return token, secret


def token_revoke(token: AccessToken, *, actor: User) -> None:
    """From now on the token opens nothing."""
    with transaction.atomic():
        token.delete()
        audit_record(AuditAction.TOKEN_REVOKED, actor=actor.get_username(), subject=token.name)


def token_find(secret: str) -> AccessToken | None:
    """The living token with that secret, noting that it was used; None where there is none."""
    now = timezone.now()
    token = (
        AccessToken.objects.select_related("user")
        .filter(digest=digest_of(secret), expires_at__gt=now, user__is_active=True)
        .first()
    )
    if token is not None:
        stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - USE_RECORDED_EVERY)
        AccessToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
    return token
