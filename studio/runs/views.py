"""The pages of runs: access, form, service, response."""

from __future__ import annotations

from pathlib import Path

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.middleware import HtmxDetails

from simcore.presets import PRESETS, Preset
from studio.catalog.models import Teacher
from studio.common.permissions import may_change, may_create, require, signed_in_user
from studio.jobs.lifecycle import IllegalMove, JobState, UserAction
from studio.jobs.services import job_act
from studio.runs.detail import run_detail
from studio.runs.distillation import run_folder
from studio.runs.estimate import Estimate, estimate
from studio.runs.forms import NewRunForm
from studio.runs.logs import full_log
from studio.runs.models import Checkpoint, Run, SampleGrid
from studio.runs.rows import run_rows
from studio.runs.services import run_create

PAGE_SIZE = 50


class HtmxRequest(HttpRequest):
    """As django-htmx's middleware leaves it."""

    htmx: HtmxDetails


@require_GET
@vary_on_headers("HX-Request", "HX-History-Restore-Request")
def list_runs(request: HtmxRequest) -> HttpResponse:
    """The table of runs, newest first; `q` searches names, `state` filters."""
    # PostgreSQL refuses NUL in a text.
    chosen = {"q": request.GET.get("q", "").replace("\0", "").strip(), "state": request.GET.get("state", "")}
    page = Paginator(_filtered(chosen), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"runs": run_rows(list(page)), "filter": chosen, "states": JobState.choices, "page": page}
    table_only = request.htmx and not request.htmx.history_restore_request
    return render(request, "runs/_table.html" if table_only else "runs/list.html", context)


def _filtered(chosen: dict[str, str]) -> QuerySet[Run]:
    runs = Run.objects.select_related("job__owner", "teacher").order_by("-pk")
    if chosen["q"]:
        runs = runs.filter(Q(name__icontains=chosen["q"]) | Q(teacher__title__icontains=chosen["q"]))
    if chosen["state"] in JobState.values:
        runs = runs.filter(job__state=chosen["state"])
    return runs


@require_http_methods(["GET", "POST"])
def new_run(request: HttpRequest) -> HttpResponse:
    """The form, and launching what it says."""
    require(may_create(request.user), "launch runs")
    preset = _preset(request)
    teacher = request.GET.get("teacher", "").replace("\0", "")  # PostgreSQL refuses NUL in a text
    if request.method == "POST":
        form = NewRunForm(request.POST, preset=preset)
        if form.is_valid():
            run = run_create(
                owner=signed_in_user(request), name=form.cleaned_data["name"], preset=preset.name, spec=form.spec
            )
            return redirect("runs:detail", run.pk)
    else:
        form = NewRunForm(preset=preset, teacher=teacher)
    context = {
        "form": form,
        "preset": preset.name,
        "presets": list(PRESETS.values()),
        "teachers": Teacher.objects.all(),
        "estimate": _estimate(form) if form.is_bound else _estimate_preset(preset, teacher),
    }
    return render(request, "runs/new.html", context, status=422 if form.errors else 200)


@require_POST
def estimate_run(request: HttpRequest) -> HttpResponse:
    """The estimate for the form as it stands."""
    require(may_create(request.user), "launch runs")
    form = NewRunForm(request.POST, preset=_preset(request))
    return render(request, "runs/_estimate.html", {"estimate": _estimate(form)})


def _preset(request: HttpRequest) -> Preset:
    asked = request.POST.get("preset") or request.GET.get("preset") or next(iter(PRESETS))
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
    return render(request, "runs/detail.html", {"run": run_detail(_run(pk))})


@require_POST
def act_on_run(request: HttpRequest, pk: int, action: str) -> HttpResponseRedirect:
    """Pause, resume, cancel, retry, checkpoint."""
    run = _run(pk)
    require(may_change(request.user, run.job.owner_id), "act on a run that is not yours")
    if action not in UserAction.values:
        raise Http404(f"There is no action '{action}'.")
    try:
        job_act(run.job, UserAction(action), actor=signed_in_user(request).get_username())
    except IllegalMove:
        messages.error(request, f"{run.name} is {JobState(run.job.state).label} by now: {action} does nothing.")
    return redirect("runs:detail", pk)


@require_GET
def show_sample(request: HttpRequest, pk: int, sample: int) -> HttpResponse:
    """The picture of one sample grid. It never changes."""
    row = get_object_or_404(SampleGrid, run_id=pk, pk=sample)
    path = _existing(pk, row.path)
    return HttpResponse(
        path.read_bytes(), content_type="image/png", headers={"Cache-Control": "private, max-age=31536000, immutable"}
    )


@require_GET
def download_checkpoint(request: HttpRequest, pk: int, checkpoint: int) -> FileResponse:
    """The file of one checkpoint."""
    row = get_object_or_404(Checkpoint.objects.select_related("run"), run_id=pk, pk=checkpoint)
    if row.removed:
        raise Http404("This checkpoint was removed to save space: the run keeps others, as its schedule says.")
    path = _existing(pk, row.path)
    return FileResponse(path.open("rb"), as_attachment=True, filename=f"run-{pk}-step-{row.step}.safetensors")


@require_GET
def download_log(request: HttpRequest, pk: int) -> HttpResponse:
    """The whole log as text."""
    run = _run(pk)
    return HttpResponse(
        full_log(run),
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="run-{pk}.log"'},
    )


def _run(pk: int) -> Run:
    return get_object_or_404(Run.objects.select_related("job__owner", "teacher"), pk=pk)


def _existing(run_id: int, name: str) -> Path:
    """A file of the run. A name that leads elsewhere, whoever wrote it, is no file of the run."""
    path = (run_folder(run_id) / name).resolve()
    if not (path.is_relative_to(run_folder(run_id).resolve()) and path.is_file()):
        raise Http404("The file is gone from the studio's data folder.")
    return path
