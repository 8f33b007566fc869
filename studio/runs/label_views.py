"""What people write on a run, and what they take away from it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from studio.common.files import streamed_response
from studio.common.permissions import may_change, may_view, require, signed_in_user
from studio.runs.deletion import run_delete
from studio.runs.exports import CSV_TYPE, TENSORBOARD_TYPE, csv_rows, tensorboard_name, tensorboard_records
from studio.runs.labels import run_archive, run_label
from studio.runs.log_search import search_log
from studio.runs.models import Run
from studio.runs.services import RunRefused


@require_POST
def label_run(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    """Name, tags and notes."""
    run = _own_run(request, pk)
    try:
        run_label(
            run,
            name=request.POST.get("name", ""),
            tags=request.POST.get("tags", ""),
            notes=request.POST.get("notes", ""),
        )
    except RunRefused as refusal:
        messages.error(request, str(refusal))
    return redirect("runs:detail", pk)


@require_POST
def archive_run(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    """Put a run away, or with `archived=false` bring it back."""
    run = _own_run(request, pk)
    try:
        run_archive(run, request.POST.get("archived", "true") != "false")
    except RunRefused as refusal:
        messages.error(request, str(refusal))
    return redirect("runs:detail", pk)


@require_POST
def delete_run(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    """Delete an ended run with its files."""
    run = _own_run(request, pk)
    try:
        run_delete(run, actor=signed_in_user(request))
    except RunRefused as refusal:
        messages.error(request, str(refusal))
        return redirect("runs:detail", pk)
    messages.success(request, f"{run.name} is deleted.")
    return redirect("runs:list")


def _own_run(request: HttpRequest, pk: int) -> Run:
    run = get_object_or_404(Run.objects.select_related("job"), pk=pk)
    require(may_change(request.user, run.job.owner_id), "change a run that is not yours")
    return run


@require_GET
def download_csv(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """Every point of every series."""
    return streamed_response(csv_rows(_run(request, pk)), CSV_TYPE, name=f"run-{pk}-metrics.csv")


@require_GET
def download_tensorboard(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The same as an event file: put it into a folder and start `tensorboard --logdir` there."""
    return streamed_response(tensorboard_records(_run(request, pk)), TENSORBOARD_TYPE, name=tensorboard_name(pk))


@require_GET
def search_run_log(request: HttpRequest, pk: int) -> HttpResponse:
    """The passages of the log that hold `q`; the part alone for htmx."""
    run = _run(request, pk)
    query = request.GET.get("q", "").replace("\0", "").strip()[:200]
    template = "runs/_log_hits.html" if request.headers.get("HX-Request") else "runs/log_search.html"
    return render(request, template, {"run": run, "hits": search_log(run, query)})


def _run(request: HttpRequest, pk: int) -> Run:
    require(may_view(request.user), "look at runs")
    return get_object_or_404(Run.objects.select_related("job"), pk=pk)
