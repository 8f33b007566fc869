"""The page on which a study is shared: links, a code for phones, who has come; and the preview."""

from __future__ import annotations

from typing import Any

import segno
from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from studio.common.permissions import may_change, may_view, require, signed_in_user
from studio.study.lifecycle import StudyRefused
from studio.study.link_forms import OpenLinkForm, PersonalLinksForm
from studio.study.links import (
    link_revoke,
    link_state,
    open_link,
    open_link_set,
    personal_links,
    personal_links_create,
    personal_links_csv,
    study_turnout,
)
from studio.study.models import Link, Study
from studio.study.participation import answers_of, study_slots
from studio.study.selectors import study_context

PAGE_SIZE = 100
PREVIEW = 0  # the number of no participant: nobody's own sides and order are shown


@never_cache
@require_GET
def share(request: HttpRequest, pk: int) -> HttpResponse:
    """The links of a study; for those who may change it, for a link is a way in."""
    return _share_page(request, _own_study(request, pk))


@never_cache
@require_POST
def save_open_link(request: HttpRequest, pk: int) -> HttpResponse:
    """Make or change the open link."""
    study = _own_study(request, pk)
    form = OpenLinkForm(request.POST, prefix="open", label_suffix="")
    return _save(request, study, form, open_link_set, "The open link is ready.", open_form=form)


@never_cache
@require_POST
def make_personal_links(request: HttpRequest, pk: int) -> HttpResponse:
    """Make personal links."""
    study = _own_study(request, pk)
    form = PersonalLinksForm(request.POST, prefix="personal", label_suffix="")
    return _save(request, study, form, _make, "The links are made.", personal_form=form)


def _make(study: Study, actor: Any, *, notes: list[str], expires_at: Any, count: int | None) -> None:
    personal_links_create(study, actor, notes=notes, expires_at=expires_at)


def _save(
    request: HttpRequest, study: Study, form: forms.Form, service: Any, done: str, **forms_shown: forms.Form
) -> HttpResponse:
    if form.is_valid():
        try:
            service(study, signed_in_user(request), **form.cleaned_data)
        except StudyRefused as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            messages.success(request, done)
            return redirect("study:share", study.pk)
    return _share_page(request, study, status=422, **forms_shown)


@require_POST
def revoke_link(request: HttpRequest, pk: int, link: int) -> HttpResponse:
    """Nobody begins by this link any more."""
    study = _own_study(request, pk)
    link_revoke(get_object_or_404(Link, pk=link, study=study), signed_in_user(request))
    messages.success(request, "The link is withdrawn. Who has begun by it can go on.")
    return redirect("study:share", pk)


@never_cache
@require_GET
def export_links(request: HttpRequest, pk: int) -> HttpResponse:
    """The personal links as CSV."""
    study = _own_study(request, pk)
    disposition = {"Content-Disposition": f'attachment; filename="study-{pk}-links.csv"'}
    content = personal_links_csv(study, lambda link: _address(request, link))
    return HttpResponse(content, content_type="text/csv; charset=utf-8", headers=disposition)


@never_cache
@require_GET
def preview(request: HttpRequest, pk: int) -> HttpResponse:
    """A pair as a participant would see it, `place` from 1; nothing is stored."""
    require(may_view(request.user), "look at studies")
    study = get_object_or_404(Study, pk=pk)
    slots, images = study_slots(study, PREVIEW)
    slots = [slot for slot in slots if {slot.left, slot.right} <= images.keys()]
    if not slots:
        return render(request, "study/no_preview.html", study_context(study, request.user))
    asked = request.GET.get("place", "")
    place = min(int(asked), len(slots)) if asked.isdecimal() and len(asked) < 6 and int(asked) else 1
    slot = slots[place - 1]
    context = {
        "preview": _home(request, study),
        "next": place % len(slots) + 1,
        "place": place,
        "pairs": len(slots),
        "prompt": images[slot.left if slot.left[0] == slot.prompt else slot.right].prompt.text,
        "question": study.question,
        "answers": answers_of(study),
        "left": reverse("study:image-shown", args=(pk, images[slot.left].pk)),
        "right": reverse("study:image-shown", args=(pk, images[slot.right].pk)),
    }
    return render(request, "vote/pair.html", context)


def _home(request: HttpRequest, study: Study) -> str:
    return reverse("study:share" if may_change(request.user, study.owner_id) else "study:results", args=(study.pk,))


def _share_page(request: HttpRequest, study: Study, status: int = 200, **shown: Any) -> HttpResponse:
    link = open_link(study)
    page = Paginator(personal_links(study), PAGE_SIZE).get_page(request.GET.get("page"))
    rows = [
        {"link": row, "address": _address(request, row), "state": link_state(row, row.finished)}
        for row in page.object_list
    ]
    initial = {"cap": link.cap, "expires_at": link.expires_at} if link else {}
    address = _address(request, link) if link else ""
    context = {
        "study": study,
        "mine": True,
        "turnout": study_turnout(study),
        "open_link": link,
        "open_address": address,
        "open_state": "expired" if link and link_state(link, 0) == "expired" else "",
        # Dark on light in both themes: not every camera reads the inverse.
        "code": segno.make(address, micro=False).svg_data_uri(scale=4, light="#fff") if link else "",
        "page": page,
        "rows": rows,
        "open_form": OpenLinkForm(initial=initial, prefix="open", label_suffix=""),
        "personal_form": PersonalLinksForm(prefix="personal", label_suffix=""),
    }
    return render(request, "study/share.html", context | shown, status=status)


def _address(request: HttpRequest, link: Link) -> str:
    path = reverse("vote:page", args=(link.token,))
    return f"{settings.PUBLIC_URL}{path}" if settings.PUBLIC_URL else request.build_absolute_uri(path)


def _own_study(request: HttpRequest, pk: int) -> Study:
    require(may_view(request.user), "look at studies")
    study = get_object_or_404(Study, pk=pk)
    require(may_change(request.user, study.owner_id), "share a study that is not yours")
    return study
