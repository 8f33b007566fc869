"""Who may do what. Every view and consumer asks here."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from studio.accounts.models import User


def may_watch(user: Any) -> bool:
    """Signed-in people see every run, and may launch and act: there are no roles yet."""
    return bool(user is not None and user.is_authenticated and user.is_active)


def signed_in_user(request: HttpRequest) -> User:
    """The person behind a request that passed the sign-in middleware."""
    assert isinstance(request.user, User)
    return request.user
