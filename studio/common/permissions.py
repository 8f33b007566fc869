"""Who may do what. Every view, consumer and API endpoint asks here.

Viewers look at everything but people; researchers also make things and change what is their own; administrators do all.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from studio.accounts.models import Role, User


def may_view(user: Any) -> bool:
    """Look at runs, teachers, data sets, workers."""
    return bool(user is not None and user.is_authenticated and user.is_active)


def may_create(user: Any) -> bool:
    """Launch runs, import teachers and data sets."""
    return may_view(user) and user.role in (Role.RESEARCHER, Role.ADMINISTRATOR)


def may_change(user: Any, owner_id: int | None) -> bool:
    """Act on something that belongs to `owner_id`; what belongs to nobody is the administrators'."""
    return may_administer(user) or (may_create(user) and user.pk == owner_id)


def may_administer(user: Any) -> bool:
    """People, workers, the order of the queue, settings."""
    return may_view(user) and user.role == Role.ADMINISTRATOR


def rights(request: HttpRequest) -> dict[str, dict[str, bool]]:
    """Context processor: what templates need not offer."""
    user = getattr(request, "user", None)
    return {"may": {"create": may_create(user), "administer": may_administer(user)}}


def may_set_priority(user: Any, owner_id: int, old: int, new: int) -> bool:
    """Administrators in both directions; owners may let others go first."""
    return may_administer(user) or (may_change(user, owner_id) and new < old)


def require(allowed: bool, to_do: str) -> None:
    """Raises PermissionDenied, whose message says what was not allowed."""
    if not allowed:
        raise PermissionDenied(f"Your role does not allow you to {to_do}.")


def signed_in_user(request: HttpRequest) -> User:
    """The person behind a request that passed the sign-in middleware."""
    assert isinstance(request.user, User)
    return request.user
