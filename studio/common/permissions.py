"""Who may do what. Every view and consumer asks here."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from studio.accounts.models import User


def may_watch(user: Any) -> bool:
    """Signed-in people see every run, live and stored."""
    return bool(user is not None and user.is_authenticated and user.is_active)


def may_act(user: Any) -> bool:
    """Signed-in people launch runs and act on them."""
    return may_watch(user)


def signed_in_user(request: HttpRequest) -> User:
    """The person behind a request that passed the sign-in middleware."""
    assert isinstance(request.user, User)
    return request.user
