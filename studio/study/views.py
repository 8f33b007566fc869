"""Pages of studies as a whole: list, new, overview, settings, actions, audit trail."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from studio.accounts.models import User
from studio.common.permissions import may_change, may_create, may_view, require, signed_in_user
from studio.runs.models import Run
from studio.study.actions import ACTIONS
from studio.study.arms import arms_of_run
from studio.study.forms import StudyForm
from studio.study.lifecycle import StudyRefused, StudyState
from studio.study.models import Study
from studio.study.selectors import event_rows, studies, study_context, study_overview
from studio.study.services import SETTINGS, study_change, study_clone, study_create, study_delete

PAGE_SIZE = 50
NOT_YOURS = "change a study that is not yours"


def find_study(pk: int) -> Study:
    """Raises Http404."""
    return get_object_or_404(Study.objects.select_related("owner", "job", "cloned_from"), pk=pk)


def study_to_change(request: HttpRequest, pk: int) -> Study:
    """Raises Http404, PermissionDenied."""
    study = find_study(pk)
    require(may_change(request.user, study.owner_id), NOT_YOURS)
    return study


@require_GET
def list_studies(request: HttpRequest) -> HttpResponse:
    """All studies, newest first."""
    require(may_view(request.user), "look at studies")
    page = Paginator(studies(), PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "study/list.html", {"page": page})


@require_http_methods(["GET", "POST"])
def new_study(request: HttpRequest) -> HttpResponse:
    """The form, and making what it says. With `run` in the address its teacher and its student become the arms."""
    require(may_create(request.user), "make studies")
    run = _run_named(request.GET.get("run", ""))
    form = StudyForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            study = _made(signed_in_user(request), form, run)
            return redirect("study:detail", study.pk)
        except StudyRefused as refusal:
            form.refused(refusal)
    return render(request, "study/new.html", {"form": form, "run": run}, status=422 if form.errors else 200)


def _run_named(number: str) -> Run | None:
    """Raises Http404 where there is no such run."""
    if not number:
        return None
    if not (number.isdecimal() and len(number) < 19):
        raise Http404(f"There is no run {number[:40]}.")
    return get_object_or_404(Run.objects.select_related("teacher"), pk=number)


@transaction.atomic
def _made(owner: User, form: StudyForm, run: Run | None) -> Study:
    study = study_create(owner=owner, **{name: form.cleaned_data[name] for name in SETTINGS})
    if run is not None:
        arms_of_run(study, owner, run)
    return study


@require_GET
def show_study(request: HttpRequest, pk: int) -> HttpResponse:
    """Where it stands, and what comes next."""
    require(may_view(request.user), "look at studies")
    study = find_study(pk)
    return render(request, "study/detail.html", study_context(study, request.user) | study_overview(study))


@require_http_methods(["GET", "POST"])
def change_settings(request: HttpRequest, pk: int) -> HttpResponse:
    """The form of the settings; only shown once they are fixed."""
    study = find_study(pk)
    context = study_context(study, request.user)
    if request.method == "POST":
        require(context["mine"], NOT_YOURS)
    form = StudyForm(request.POST if request.method == "POST" else None, study=find_study(pk))
    if form.is_valid():
        try:
            study_change(study, signed_in_user(request), **{name: form.cleaned_data[name] for name in SETTINGS})
            messages.success(request, "Saved.")
            return redirect("study:settings", pk)
        except StudyRefused as refusal:
            form.refused(refusal)
    context |= {"form": form, "editable": context["mine"] and study.state in (StudyState.DRAFT, StudyState.REVIEW)}
    return render(request, "study/settings.html", context, status=422 if form.errors else 200)


@require_POST
def clone_study(request: HttpRequest, pk: int) -> HttpResponse:
    """A draft of one's own with the same settings, prompts and arms."""
    require(may_create(request.user), "make studies")
    clone = study_clone(find_study(pk), signed_in_user(request))
    messages.success(request, "This is the copy: settings, prompts and arms, without images.")
    return redirect("study:detail", clone.pk)


@require_POST
def delete_study(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a draft."""
    study = study_to_change(request, pk)
    try:
        study_delete(study, signed_in_user(request))
    except StudyRefused as refusal:
        messages.error(request, str(refusal))
        return redirect("study:detail", pk)
    messages.success(request, f"{study.title} is deleted.")
    return redirect("study:list")


@require_POST
def act_on_study(request: HttpRequest, pk: int, action: str) -> HttpResponse:
    """Draw, cancel, open, close, reopen, back to draft."""
    study = study_to_change(request, pk)
    if action not in ACTIONS:
        raise Http404(f"There is no action '{action}'.")
    chosen = ACTIONS[action]
    try:
        chosen.act(study, signed_in_user(request))
        messages.success(request, chosen.done)
    except StudyRefused as refusal:
        messages.error(request, str(refusal))
    except OSError as error:
        messages.error(request, f"The study's files cannot be written ({error.strerror}): nothing has changed.")
    return redirect("study:detail", pk)


@require_GET
def show_audit(request: HttpRequest, pk: int) -> HttpResponse:
    """Who did what, newest first."""
    require(may_view(request.user), "look at studies")
    study = find_study(pk)
    page = Paginator(study.events.all(), PAGE_SIZE).get_page(request.GET.get("page"))
    context = study_context(study, request.user) | {"page": page, "rows": event_rows(list(page))}
    return render(request, "study/audit.html", context)
