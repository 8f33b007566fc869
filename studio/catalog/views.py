"""Pages of teachers and data sets: access, form, service, response."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from studio.catalog.forms import EntryForm
from studio.catalog.models import Dataset, Entry, Teacher
from studio.catalog.refusals import Refused
from studio.catalog.sampling import teacher_sample
from studio.catalog.selectors import dataset_detail, dataset_row, datasets, teacher_detail, teacher_row, teachers
from studio.catalog.services import dataset_delete, entry_change, teacher_delete
from studio.common.permissions import may_change, may_create, require, signed_in_user

PAGE_SIZE = 50


@require_GET
def list_teachers(request: HttpRequest) -> HttpResponse:
    """All teachers by title."""
    page = Paginator(teachers(), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"rows": [teacher_row(teacher) for teacher in page], "page": page}
    return render(request, "catalog/teachers.html", context)


@require_http_methods(["GET", "POST"])
def show_teacher(request: HttpRequest, pk: int) -> HttpResponse:
    """One teacher; POST corrects its title, licence and source."""
    teacher = get_object_or_404(teachers(), pk=pk)
    if response := _edited(request, teacher):
        return response
    return _page(request, "catalog/teacher.html", teacher, teacher_detail(teacher))


@require_POST
def delete_teacher(request: HttpRequest, pk: int) -> HttpResponse:
    teacher = get_object_or_404(Teacher, pk=pk)
    require(may_change(request.user, teacher.owner_id), "delete a teacher that is not yours")
    try:
        teacher_delete(teacher, signed_in_user(request))
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("catalog:teacher", pk)
    messages.success(request, f"{teacher.title} is deleted.")
    return redirect("catalog:teachers")


@require_POST
def draw_teacher(request: HttpRequest, pk: int) -> HttpResponse:
    """Queue the drawing of new samples."""
    require(may_create(request.user), "draw samples")
    try:
        teacher_sample(get_object_or_404(Teacher, pk=pk), signed_in_user(request))
    except Refused as refusal:
        messages.error(request, str(refusal))
    return redirect("catalog:teacher", pk)


@require_GET
def list_datasets(request: HttpRequest) -> HttpResponse:
    """All data sets by title."""
    page = Paginator(datasets(), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"rows": [dataset_row(dataset) for dataset in page], "page": page}
    return render(request, "catalog/datasets.html", context)


@require_http_methods(["GET", "POST"])
def show_dataset(request: HttpRequest, pk: int) -> HttpResponse:
    """One data set; POST corrects its title, licence and source."""
    dataset = get_object_or_404(datasets(), pk=pk)
    if response := _edited(request, dataset):
        return response
    return _page(request, "catalog/dataset.html", dataset, dataset_detail(dataset))


@require_POST
def delete_dataset(request: HttpRequest, pk: int) -> HttpResponse:
    dataset = get_object_or_404(Dataset, pk=pk)
    require(may_change(request.user, dataset.owner_id), "delete a data set that is not yours")
    try:
        dataset_delete(dataset, signed_in_user(request))
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("catalog:dataset", pk)
    messages.success(request, f"{dataset.title} is deleted.")
    return redirect("catalog:datasets")


@require_GET
def show_samples(request: HttpRequest, pk: int, model: type[Entry]) -> HttpResponse:
    """The picture of an entry. Its address changes when it does."""
    entry = get_object_or_404(model, pk=pk)
    path = Path(entry.samples)
    if not entry.samples or not path.is_file():
        raise Http404("There is no picture of it.")
    kept = {"Cache-Control": "private, max-age=31536000, immutable"}
    return HttpResponse(path.read_bytes(), content_type="image/png", headers=kept)


def _edited(request: HttpRequest, entry: Entry) -> HttpResponse | None:
    """Where a valid correction was sent, store it and go back to the page."""
    if request.method != "POST":
        return None
    require(may_change(request.user, entry.owner_id), f"change {entry.title}, which is not yours")
    form = EntryForm(request.POST, entry=entry)
    if not form.is_valid():
        return None
    try:
        entry_change(entry, **form.cleaned_data)
        messages.success(request, "Saved.")
    except Refused as refusal:
        messages.error(request, str(refusal))
    return redirect(request.path)


def _page(request: HttpRequest, template: str, entry: Entry, context: dict[str, Any]) -> HttpResponse:
    form = EntryForm(request.POST if request.method == "POST" else None, entry=entry)
    mine = entry.owner_id is not None and may_change(request.user, entry.owner_id)
    context |= {"form": form, "mine": mine, "may_create": may_create(request.user)}
    return render(request, template, context, status=422 if form.errors else 200)
