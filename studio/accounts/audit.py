"""The audit log: who did what, and from where."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.decorators import sync_and_async_middleware

from studio.accounts.models import AuditAction, AuditEntry, User

_address: ContextVar[str] = ContextVar("audit_address", default="")


def audit_record(action: AuditAction, *, actor: str, subject: str = "") -> None:
    """Add a row, with the address of the request that is being answered, if any."""
    AuditEntry.objects.create(actor=actor[:150], action=action, subject=subject[:300], address=_address.get())


def client_address(request: HttpRequest) -> str:
    """The visitor's address, as the web server gives it; it trusts a proxy on the same host."""
    return str(request.META.get("REMOTE_ADDR") or "")[:45]


@sync_and_async_middleware
def audit_address(get_response: Any) -> Any:
    """Middleware: remembers whose request is being answered, so that services need not be told."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> Any:
            _address.set(client_address(request))  # each request has a context of its own
            return await get_response(request)

        return answer_async

    def answer(request: HttpRequest) -> Any:
        before = _address.set(client_address(request))
        try:
            return get_response(request)
        finally:
            _address.reset(before)

    return answer


@receiver(user_logged_in)
def _signed_in(sender: object, user: User, **_: object) -> None:
    audit_record(AuditAction.SIGN_IN, actor=user.get_username())


@receiver(user_logged_out)
def _signed_out(sender: object, user: User | None, **_: object) -> None:
    if user is not None:
        audit_record(AuditAction.SIGN_OUT, actor=user.get_username())
