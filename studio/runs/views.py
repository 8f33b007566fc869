"""The pages of runs: access, form, service, response."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.middleware import HtmxDetails

from simcore.config import SpecError, parse_spec
from simcore.presets import PRESETS, Preset
from studio.catalog.models import Teacher
from studio.common.files import file_response, streamed_response
from studio.common.permissions import may_change, may_create, require, signed_in_user
from studio.jobs.lifecycle import IllegalMove, JobState, UserAction
from studio.runs.detail import run_detail
from studio.runs.estimate import Estimate, estimate
from studio.runs.forms import NewRunForm
from studio.runs.listing import choices, columns, filtered_runs, read_filter
from studio.runs.logs import log_lines
from studio.runs.models import Checkpoint, Run, SampleGrid
from studio.runs.rows import run_rows
from studio.runs.run_files import run_file
from studio.runs.services import RunRefused, run_act, run_create

PAGE_SIZE = 50


class HtmxRequest(HttpRequest):
    """As django-htmx's middleware leaves it."""

    htmx: HtmxDetails


@require_GET
@vary_on_headers("HX-Request", "HX-History-Restore-Request")
def list_runs(request: HtmxRequest) -> HttpResponse:
    """The table of runs, newest first unless the address asks for others."""
    chosen = read_filter(request.GET)
    page = Paginator(filtered_runs(chosen), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"runs": run_rows(list(page)), "filter": chosen, "page": page, "columns": columns(chosen)}
    if request.htmx and not request.htmx.history_restore_request:
        return render(request, "runs/_table.html", context)
    return render(request, "runs/list.html", {**context, "choices": choices()})


@require_http_methods(["GET", "POST"])
def new_run(request: HttpRequest) -> HttpResponse:
    """The form, and launching what it says."""
    require(may_create(request.user), "launch runs")
    origin = origin_of(request)
    if origin and origin.dataset:
        return redirect(f"{reverse('runs:new-teacher')}?clone={origin.pk}")
    preset = _preset(request, origin)
    teacher = request.GET.get("teacher", "").replace("\0", "")  # PostgreSQL refuses NUL in a text
    if request.method == "POST":
        form = NewRunForm(request.POST, preset=preset, origin=origin)
        if form.is_valid() and (run := _launch(request, form, preset)):
            return redirect("runs:detail", run.pk)
    else:
        form = NewRunForm(preset=preset, teacher=teacher, origin=origin)
    context = {
        "form": form,
        "origin": origin,
        "preset": preset.name,
        "presets": list(PRESETS.values()),
        "teachers": Teacher.objects.all(),
        "estimate": _first_estimate(form, preset, origin),
    }
    return render(request, "runs/new.html", context, status=422 if form.errors else 200)


def _launch(request: HttpRequest, form: NewRunForm, preset: Preset) -> Run | None:
    """None where it was refused, which then stands in the form."""
    try:
        return run_create(
            owner=signed_in_user(request), name=form.cleaned_data["name"], preset=preset.name, spec=form.spec
        )
    except RunRefused as refusal:
        form.add_error(None, str(refusal))
    except SpecError as error:  # since the form was checked, a teacher went, or the disk filled up
        form.add_problems(error)
    return None


def origin_of(request: HttpRequest) -> Run | None:
    """The run whose settings the form starts with, where `clone` names one."""
    number = request.POST.get("clone") or request.GET.get("clone") or ""
    if not number:
        return None
    if not (number.isascii() and number.isdigit() and len(number) <= 18):
        raise Http404("clone is the number of a run.")
    return _run(int(number))


def _first_estimate(form: NewRunForm, preset: Preset, origin: Run | None) -> Estimate:
    if form.is_bound:
        return _estimate(form)
    if origin and origin.teacher:
        return estimate(parse_spec(form.start), origin.teacher)
    return _estimate_preset(preset, str(form["teacher"].value() or ""))


@require_POST
def estimate_run(request: HttpRequest) -> HttpResponse:
    """The estimate for the form as it stands."""
    require(may_create(request.user), "launch runs")
    form = NewRunForm(request.POST, preset=_preset(request))
    return render(request, "runs/_estimate.html", {"estimate": _estimate(form)})


def _preset(request: HttpRequest, origin: Run | None = None) -> Preset:
    asked = request.POST.get("preset") or request.GET.get("preset") or (origin.preset if origin else "")
    asked = asked or next(iter(PRESETS))
    if asked not in PRESETS:
        raise Http404(f"There is no preset '{asked}'. Known presets: {', '.join(PRESETS)}.")
    return PRESETS[asked]


def _estimate(form: NewRunForm) -> Estimate:
    if not form.is_valid():
        return Estimate(errors=sum(len(errors) for errors in form.errors.values()))
    return estimate(form.spec, Teacher.objects.get(reference=form.spec.teacher))


def _estimate_preset(preset: Preset, reference: str) -> Estimate:
    teacher = Teacher.objects.filter(reference=reference or preset.spec.teacher).first()
    return estimate(preset.spec, teacher) if teacher else Estimate(notes=["Choose a teacher to see an estimate."])


@require_GET
def show_run(request: HttpRequest, pk: int) -> HttpResponse:
    """One run."""
    run = _run(pk)
    mine = may_change(request.user, run.job.owner_id)
    return render(request, "runs/detail.html", {"run": run_detail(run), "may_change": mine})


@require_POST
def act_on_run(request: HttpRequest, pk: int, action: str) -> HttpResponseRedirect:
    """Pause, resume, cancel, retry, checkpoint."""
    run = _run(pk)
    require(may_change(request.user, run.job.owner_id), "act on a run that is not yours")
    if action not in UserAction.values:
        raise Http404(f"There is no action '{action}'.")
    try:
        run_act(run, UserAction(action), actor=signed_in_user(request))
    except IllegalMove:
        messages.error(request, f"{run.name} is {JobState(run.job.state).label} by now: {action} does nothing.")
    return redirect("runs:detail", pk)


@require_GET
def show_sample(request: HttpRequest, pk: int, sample: int) -> HttpResponse:
    """The picture of one sample grid. It never changes."""
    row = get_object_or_404(SampleGrid, run_id=pk, pk=sample)
    path = run_file(pk, row.path)
    return HttpResponse(
        path.read_bytes(), content_type="image/png", headers={"Cache-Control": "private, max-age=31536000, immutable"}
    )


@require_GET
def download_checkpoint(request: HttpRequest, pk: int, checkpoint: int) -> HttpResponseBase:
    """The file of one checkpoint, whole or in part."""
    row = get_object_or_404(Checkpoint.objects.select_related("run"), run_id=pk, pk=checkpoint)
    if row.removed:
        raise Http404("This checkpoint was removed to save space: the run keeps others, as its schedule says.")
    path = run_file(pk, row.path)
    return file_response(request, path, name=f"run-{pk}-step-{row.step}.safetensors", etag=row.sha256)


@require_GET
def download_log(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The whole log as text."""
    parts = (line.encode() for line in log_lines(_run(pk)))
    return streamed_response(parts, "text/plain; charset=utf-8", name=f"run-{pk}.log")


def _run(pk: int) -> Run:
    return get_object_or_404(Run.objects.select_related("job__owner", "teacher", "dataset", "group"), pk=pk)
