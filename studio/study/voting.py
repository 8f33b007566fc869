"""The pages of participants, below /vote/<token of their link>/. They work without JavaScript and without an account.

What is sent must not differ by arm: images have addresses of their own for each trial, the same headers and the same
length. The browser is known by a cookie, which it gets with the consent page and which means nothing before consent.
"""

from __future__ import annotations

import re
from functools import wraps
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views import csrf
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_http_methods

from studio.accounts.audit import client_address
from studio.accounts.secrets import new_secret
from studio.common.rates import count_this_minute
from studio.study.lifecycle import StudyState
from studio.study.models import Image, Link, Participant
from studio.study.participation import (
    Reason,
    VoteRefused,
    answers_of,
    current_trial,
    link_check,
    participant_find,
    participant_start,
    trial_shown,
    vote_cast,
)
from studio.study.storage import open_path

COOKIE = "participant"
COOKIE_SECONDS = 90 * 24 * 3600
SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
# Requests a minute: four a pair for a participant, who is quick at one pair a second;
# for strangers a whole class may sit behind one address.
MOST_FOR_PARTICIPANT = 300
MOST_FOR_ADDRESS = 600
MOST_BEGINNING = 120  # a minute, from one address


def _for_participants(view: Any) -> Any:
    """No account, nothing kept in caches, and refusals as pages."""

    @wraps(view)
    def answer(request: HttpRequest, token: str, **where: Any) -> HttpResponse:
        try:
            response: HttpResponse = view(request, token, **where)
        except VoteRefused as refusal:
            response = _refusal_page(request, token, refusal.reason)
        return response

    return login_not_required(cache_control(no_store=True)(answer))


@_for_participants
@require_http_methods(["GET", "POST"])
def vote(request: HttpRequest, token: str) -> HttpResponse:
    """Where somebody is: consent, the pair that is next, or thanks. A form that is sent leads here again."""
    participant = _participant(request, token)
    if request.method == "POST":
        return _store(request, token, participant)
    return _consent_page(request, token) if participant is None else _place_page(request, participant)


@_for_participants
@require_GET
def image(request: HttpRequest, token: str, key: UUID) -> HttpResponse:
    """One of the two images of the pair that this browser is at; anything else is not found."""
    participant = _participant(request, token)
    found = _live_image(participant, key) if participant else None
    if participant is None or found is None:
        return HttpResponse(status=404)
    # Read whole: every file of a study has the same length, so both answers take the same path.
    return HttpResponse(open_path(participant.study_id, found.pk).read_bytes(), content_type="image/png")


def _live_image(participant: Participant, key: UUID) -> Image | None:
    trial = current_trial(participant) if participant.study.state == StudyState.OPEN else None
    sides = {trial.left_key: trial.left, trial.right_key: trial.right} if trial else {}
    found = sides.get(key)
    return found if found is not None and found.review == Image.Review.APPROVED else None


def _participant(request: HttpRequest, token: str) -> Participant | None:
    """Who has begun in this browser. Raises VoteRefused for too many requests."""
    secret = _secret(request)
    participant = participant_find(token, secret) if secret else None
    who, most = (f"participant:{participant.digest}", MOST_FOR_PARTICIPANT) if participant else (
        f"address:{client_address(request)}", MOST_FOR_ADDRESS
    )  # fmt: skip
    used, _ = count_this_minute(f"vote:{who}")
    if used > most:
        raise VoteRefused(Reason.TOO_MANY)
    return participant


def _secret(request: HttpRequest) -> str:
    secret = request.COOKIES.get(COOKIE, "")
    return secret if SECRET.fullmatch(secret) else ""


def _link(token: str) -> Link:
    link = Link.objects.filter(token=token).select_related("study").first()
    if link is None:
        raise VoteRefused(Reason.UNKNOWN)
    return link


def _store(request: HttpRequest, token: str, participant: Participant | None) -> HttpResponse:
    if "trial" in request.POST:
        if participant is None:
            raise VoteRefused(Reason.STRANGER)
        vote_cast(participant, request.POST["trial"], request.POST.get("side", ""))
    elif participant is None:
        link = _link(token)
        if not _secret(request):
            link_check(link, link.study)
            raise VoteRefused(Reason.COOKIES)
        if count_this_minute(f"begin:{client_address(request)}")[0] > MOST_BEGINNING:
            raise VoteRefused(Reason.TOO_MANY)
        participant_start(link, _secret(request))
    return HttpResponse(status=303, headers={"Location": reverse("vote:page", args=(token,))})


def _consent_page(request: HttpRequest, token: str) -> HttpResponse:
    link = _link(token)
    link_check(link, link.study)
    trials = link.study.prompts.count() + link.study.checks
    response = render(request, "vote/consent.html", {"study": link.study, "pairs": trials})
    if not _secret(request):
        response.set_cookie(
            COOKIE, new_secret(), max_age=COOKIE_SECONDS, path=reverse("vote:page", args=(token,)),
            secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Lax",
        )  # fmt: skip
    return response


def _place_page(request: HttpRequest, participant: Participant) -> HttpResponse:
    study, trial = participant.study, current_trial(participant)
    if trial is None:
        return render(request, "vote/thanks.html", {"code": participant.completion_code})
    if study.state != StudyState.OPEN:
        raise VoteRefused(Reason.CLOSED)
    trial_shown(trial)
    token = participant.link.token
    context = {
        "place": trial.position + 1,
        "pairs": participant.trials.count(),
        "prompt": trial.prompt.text,
        "question": study.question,
        "answers": answers_of(study),
        "trial": trial.key,
        "left": reverse("vote:image", args=(token, trial.left_key)),
        "right": reverse("vote:image", args=(token, trial.right_key)),
    }
    return render(request, "vote/pair.html", context)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Participants whose browser keeps no cookies are told so; everybody else gets the studio's page."""
    match = request.resolver_match
    if match is not None and match.namespace == "vote":
        return _refusal_page(request, match.kwargs["token"], Reason.COOKIES)
    return csrf.csrf_failure(request, reason)


def _refusal_page(request: HttpRequest, token: str, reason: Reason) -> HttpResponse:
    go_on = reason in (Reason.FORGED, Reason.NOT_NEXT, Reason.ANSWER, Reason.STRANGER, Reason.COOKIES, Reason.TOO_MANY)
    response = render(
        request,
        "vote/refused.html",
        {"reason": reason, "back": reverse("vote:page", args=(token,)) if go_on else ""},
        status=reason.status,
    )
    if reason == Reason.TOO_MANY:
        response.headers["Retry-After"] = "60"
    return response
