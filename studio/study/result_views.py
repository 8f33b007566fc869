"""The pages of results: what came out, who took part, what was amended, and the files of it."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from studio.accounts.models import User
from studio.common.files import streamed_response
from studio.common.permissions import may_change, may_view, require, signed_in_user
from studio.study.amendments import participant_exclude, participant_restore, vote_correct
from studio.study.exports import dictionary_csv, votes_csv, votes_json
from studio.study.lifecycle import StudyRefused
from studio.study.models import Participant, Study, Vote
from studio.study.participants import person_trials
from studio.study.participation import answers_of
from studio.study.selectors import study_context

PAGE_SIZE = 100


@never_cache
@require_GET
def show_results(request: HttpRequest, pk: int) -> HttpResponse:
    """The tally with its uncertainty, by prompt and by participant."""
    study = _study(request, pk)
    context = study_context(study, request.user)
    if not Vote.objects.filter(trial__participant__study=study).exists():
        return render(request, "study/no_results.html", context)
    # NumPy and SciPy are loaded with the first page of results, not with the web server.
    from studio.study.methods import methods_paragraph
    from studio.study.results import study_results

    results = study_results(study)
    page = Paginator(results.people, PAGE_SIZE).get_page(request.GET.get("page"))
    context |= {"results": results, "people": page, "methods": methods_paragraph(results)}
    return render(request, "study/results.html", context)


@never_cache
@require_GET
def show_participant(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """One participant's trials and votes, and what was amended."""
    study = _study(request, pk)
    person = _participant(study, number)
    exclusions = list(person.exclusions.select_related("by", "lifted_by"))
    context = study_context(study, request.user) | {
        "person": person,
        "excluded": any(exclusion.lifted_at is None for exclusion in exclusions),
        "trials": person_trials(person),
        "exclusions": exclusions,
        "sides": answers_of(study),
    }
    return render(request, "study/participant.html", context)


@require_POST
def exclude(request: HttpRequest, pk: int, number: int) -> HttpResponseRedirect:
    """Leave a participant out, with `reason`."""
    return _amend_participant(request, pk, number, participant_exclude, "is left out of the results")


@require_POST
def restore(request: HttpRequest, pk: int, number: int) -> HttpResponseRedirect:
    """Count a participant again, with `reason`."""
    return _amend_participant(request, pk, number, participant_restore, "counts again")


def _amend_participant(
    request: HttpRequest, pk: int, number: int, amend: Callable[[Participant, User, str], object], done: str
) -> HttpResponseRedirect:
    study = _own_study(request, pk)
    person = _participant(study, number)
    try:
        amend(person, signed_in_user(request), request.POST.get("reason", ""))
        messages.success(request, f"Participant {number} {done}.")
    except StudyRefused as refusal:
        messages.error(request, str(refusal))
    if request.POST.get("from") == "participant":
        return redirect("study:participant", pk, number)
    return redirect("study:results", pk)


@require_POST
def correct(request: HttpRequest, pk: int, vote: int) -> HttpResponseRedirect:
    """Correct a vote to `side`, with `reason`."""
    study = _own_study(request, pk)
    votes = Vote.objects.select_related("trial__participant")
    row = get_object_or_404(votes, pk=vote, trial__participant__study=study)
    try:
        vote_correct(row, request.POST.get("side", ""), signed_in_user(request), request.POST.get("reason", ""))
        messages.success(request, "The correction counts; the vote that it replaces stays on record.")
    except StudyRefused as refusal:
        messages.error(request, str(refusal))
    return redirect("study:participant", pk, row.trial.participant.number)


@never_cache
@require_GET
def export_csv(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """One row a vote."""
    study = _study(request, pk)
    rows = votes_csv(study, private=may_change(request.user, study.owner_id))
    return streamed_response(rows, "text/csv; charset=utf-8", name=f"study-{pk}-votes.csv")


@never_cache
@require_GET
def export_json(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The same with the data dictionary."""
    study = _study(request, pk)
    rows = votes_json(study, private=may_change(request.user, study.owner_id))
    return streamed_response(rows, "application/json", name=f"study-{pk}-votes.json")


@require_GET
def export_dictionary(request: HttpRequest, pk: int) -> HttpResponse:
    """What the columns of the CSV mean."""
    _study(request, pk)
    disposition = {"Content-Disposition": f'attachment; filename="study-{pk}-columns.csv"'}
    return HttpResponse(dictionary_csv(), content_type="text/csv; charset=utf-8", headers=disposition)


def _study(request: HttpRequest, pk: int) -> Study:
    require(may_view(request.user), "look at studies")
    return get_object_or_404(Study, pk=pk)


def _own_study(request: HttpRequest, pk: int) -> Study:
    study = _study(request, pk)
    require(may_change(request.user, study.owner_id), "amend a study that is not yours")
    return study


def _participant(study: Study, number: int) -> Participant:
    return get_object_or_404(Participant.objects.select_related("link"), study=study, number=number)
