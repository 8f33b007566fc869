"""Signing in is slowed down after wrong passwords. The audit log is what is counted, so every process counts alike."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from studio.accounts.models import AuditAction, AuditEntry

WINDOW = timedelta(minutes=15)
# A stranger elsewhere should not be able to lock somebody out quickly: hence the first, narrow limit.
MOST_FOR_ACCOUNT_AND_ADDRESS = 5
MOST_FOR_ADDRESS = 30
MOST_FOR_ACCOUNT = 60


def seconds_to_wait(username: str, address: str) -> int:
    """How long until this account may be tried again from this address; 0 where it may be now."""
    narrow = _wait(Q(actor__iexact=username, address=address), MOST_FOR_ACCOUNT_AND_ADDRESS, after=username)
    return max(narrow, _wait(Q(address=address), MOST_FOR_ADDRESS), _wait(Q(actor__iexact=username), MOST_FOR_ACCOUNT))


def _wait(who: Q, most: int, after: str = "") -> int:
    """Until the oldest of the last `most` failures leaves the window; a success of `after` forgets what was before."""
    since = timezone.now() - WINDOW
    if after:
        success = AuditEntry.objects.filter(who, action=AuditAction.SIGN_IN, at__gt=since).first()
        since = success.at if success else since
    failures = AuditEntry.objects.filter(who, action=AuditAction.SIGN_IN_FAILED, at__gt=since).order_by("-at")
    oldest = failures.values_list("at", flat=True)[most - 1 : most].first()
    if oldest is None:
        return 0
    return max(1, round((oldest + WINDOW - timezone.now()).total_seconds()))
