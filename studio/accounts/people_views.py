"""Pages for administrators: people, and the audit log."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from studio.accounts.forms import RoleForm
from studio.accounts.links import link_address
from studio.accounts.models import AccountLink, AuditAction, AuditEntry, LinkPurpose, Role, User
from studio.accounts.services import (
    LINK_DAYS,
    PeopleError,
    invitation_create,
    invitation_withdraw,
    person_deactivate,
    person_reactivate,
    person_set_role,
    reset_link_create,
)
from studio.common.permissions import may_administer, require, signed_in_user

PAGE_SIZE = 100


def _administrator(request: HttpRequest) -> User:
    require(may_administer(request.user), "manage people")
    return signed_in_user(request)


@require_GET
def list_people(request: HttpRequest) -> HttpResponse:
    """Everybody, and the invitations that wait."""
    _administrator(request)
    return _page(request)


def _page(request: HttpRequest, **more: Any) -> HttpResponse:
    people = Paginator(User.objects.order_by("username"), PAGE_SIZE).get_page(request.GET.get("page"))
    waiting = AccountLink.objects.filter(purpose=LinkPurpose.INVITE, used_at__isnull=True).select_related("created_by")
    context = {"people": people, "invitations": waiting, "roles": Role.choices, "form": RoleForm(label_suffix="")}
    return render(request, "people/list.html", context | more)


@never_cache
@require_POST
def invite(request: HttpRequest) -> HttpResponse:
    """Make an invitation and show its link, this once."""
    actor = _administrator(request)
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose one of the roles.")
        return redirect("people:list")
    link, secret = invitation_create(role=Role(form.cleaned_data["role"]), actor=actor)
    return _show_link(request, f"An invitation for a {Role(link.role).label.lower()}", secret)


@require_POST
def withdraw(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    """An invitation stops working."""
    actor = _administrator(request)
    link = get_object_or_404(AccountLink, pk=pk, purpose=LinkPurpose.INVITE, used_at__isnull=True)
    invitation_withdraw(link, actor=actor)
    messages.success(request, "The invitation is withdrawn.")
    return redirect("people:list")


@never_cache
@require_POST
def password_link(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a link by which a person chooses a new password, and show it, this once."""
    actor = _administrator(request)
    person = get_object_or_404(User, pk=pk)
    try:
        _, secret = reset_link_create(person, actor=actor)
    except PeopleError as error:
        messages.error(request, str(error))
        return redirect("people:list")
    return _show_link(request, f"A password link for {person}", secret)


def _show_link(request: HttpRequest, title: str, secret: str) -> HttpResponse:
    note = f"Send it to them. It is shown only now, and works once within {LINK_DAYS} days."
    return _page(request, made={"title": title, "url": link_address(request, secret), "note": note})


@require_POST
def change_role(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    """Give a person another role."""
    actor = _administrator(request)
    person = get_object_or_404(User, pk=pk)
    form = RoleForm(request.POST)
    if form.is_valid():
        return _done(request, lambda: person_set_role(person, Role(form.cleaned_data["role"]), actor=actor))
    messages.error(request, "Choose one of the roles.")
    return redirect("people:list")


@require_POST
def change_activity(request: HttpRequest, pk: int, verb: str) -> HttpResponseRedirect:
    """Deactivate or reactivate a person."""
    actor = _administrator(request)
    person = get_object_or_404(User, pk=pk)
    service = {"deactivate": person_deactivate, "reactivate": person_reactivate}[verb]
    return _done(request, lambda: service(person, actor=actor))


def _done(request: HttpRequest, service: Any) -> HttpResponseRedirect:
    try:
        service()
    except PeopleError as error:
        messages.error(request, str(error))
    return redirect("people:list")


@require_GET
def list_audit(request: HttpRequest) -> HttpResponse:
    """Who did what, newest first; filtered by person and kind."""
    _administrator(request)
    # PostgreSQL refuses NUL in a text.
    chosen = {name: request.GET.get(name, "").replace("\0", "").strip() for name in ("actor", "action")}
    entries = AuditEntry.objects.filter(**{name: value for name, value in chosen.items() if value})
    page = Paginator(entries, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"page": page, "filter": chosen, "query": f"{urlencode(chosen)}&", "actions": AuditAction.choices}
    return render(request, "people/audit.html", context)
