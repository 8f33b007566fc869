"""Importing: the page, its imports, and the resumable uploads beneath it.

An upload begins with POST (name, size, sha256 if known), goes on with PATCH at `Upload-Offset`, and ends as a field of
the import form. GET tells where to go on.
"""

from __future__ import annotations

import io
import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from studio.catalog.folder import folder_files
from studio.catalog.forms import ImportForm
from studio.catalog.imports import import_create
from studio.catalog.models import Upload
from studio.catalog.refusals import Refused, WrongOffset
from studio.catalog.selectors import import_rows, imports, unfinished_uploads
from studio.catalog.uploads import MOST_BYTES_A_PART, upload_append, upload_create, upload_discard, upload_store
from studio.common.permissions import may_change, may_create, require, signed_in_user
from studio.common.strict_json import read_json
from studio.jobs.lifecycle import IllegalMove, UserAction
from studio.jobs.models import Job
from studio.jobs.services import actions_of, job_act

PAGE_SIZE = 30
ACTIONS = (UserAction.CANCEL.value, UserAction.RETRY.value)


@require_http_methods(["GET", "POST"])
def import_page(request: HttpRequest) -> HttpResponse:
    """The form and the imports so far; POST begins one."""
    if request.method == "POST":
        return _begin(request)
    if request.headers.get("HX-Request") and not request.headers.get("HX-History-Restore-Request"):
        return render(request, "catalog/_imports_table.html", _table(request))
    folder = folder_files() if may_create(request.user) else []
    return _page(request, ImportForm(folder=folder))


def _begin(request: HttpRequest) -> HttpResponse:
    require(may_create(request.user), "import teachers and data sets")
    form = ImportForm(request.POST, request.FILES, folder=folder_files())
    if form.is_valid():
        try:
            job = _import(request, form)
            return redirect("catalog:import", job.pk)
        except Refused as refusal:
            weights_alone = form.cleaned_data["network"] is None and "say which network" in str(refusal)
            form.add_error("network" if weights_alone else None, str(refusal))
            return _page(request, form, refusal.status)
    return _page(request, form, 422)


def _import(request: HttpRequest, form: ImportForm) -> Job:
    user, values = signed_in_user(request), form.cleaned_data
    if values["path"]:
        return import_create(owner=user, facts=form.facts, path=values["path"])
    if sent := values["file"]:
        assert isinstance(sent, UploadedFile)
        upload = upload_store(owner=user, name=sent.name or "file", size=sent.size or 0, chunks=sent.chunks())
        form.kept = upload
    else:
        upload = _upload(request, values["upload"])
        form.kept = upload
    return import_create(owner=user, facts=form.facts, upload=upload)


def _page(request: HttpRequest, form: ImportForm, status: int = 200) -> HttpResponse:
    kept = form.kept
    if kept is None and form.is_bound and (upload_id := form.cleaned_data.get("upload")):
        kept = Upload.objects.filter(pk=upload_id, owner=signed_in_user(request), job=None).first()
    context = {
        "form": form,
        "kept": kept,
        **_table(request),
        "may_create": may_create(request.user),
        "uploads": unfinished_uploads(signed_in_user(request)),
        "part_bytes": MOST_BYTES_A_PART // 4,
    }
    return render(request, "catalog/imports.html", context, status=status)


def _table(request: HttpRequest) -> dict[str, Any]:
    """What the table of imports shows, which asks for itself while one runs."""
    page = Paginator(imports(), PAGE_SIZE).get_page(request.GET.get("page"))
    rows = import_rows(list(page))
    return {"rows": rows, "page": page, "running": any(row.running for row in rows)}


@require_http_methods(["GET"])
def show_import(request: HttpRequest, pk: int) -> HttpResponse:
    """One import: its state, what was said, the verdict."""
    job = get_object_or_404(imports(), pk=pk)
    (row,) = import_rows([job])
    offered = [action for action in actions_of(job) if action["name"] in ACTIONS]
    context = {
        "row": row,
        "facts": {"sha256": (job.result or {}).get("file_sha256", ""), "licence": job.spec["licence"]},
        "log": [{"at": event.at, **event.payload} for event in job.events.filter(type="log").order_by("seq")],
        "actions": offered if may_change(request.user, job.owner_id) else [],
    }
    return render(request, "catalog/import.html", context)


@require_POST
def act_on_import(request: HttpRequest, pk: int, action: str) -> HttpResponse:
    """Cancel or retry."""
    job = get_object_or_404(imports(), pk=pk)
    require(may_change(request.user, job.owner_id), "act on an import that is not yours")
    if action not in ACTIONS:
        raise Http404(f"There is no action '{action}'.")
    try:
        job_act(job, UserAction(action), actor=signed_in_user(request).get_username())
    except IllegalMove:
        messages.error(request, f"The import is {job.state} by now: {action} does nothing.")
    return redirect("catalog:import", pk)


# ---- uploads


class UploadForm(forms.Form):
    """How an upload begins."""

    name = forms.CharField(max_length=255)
    size = forms.IntegerField(min_value=1, max_value=2**62)
    sha256 = forms.CharField(required=False, max_length=64)


@require_POST
def create_upload(request: HttpRequest) -> HttpResponse:
    """Begin an upload: JSON with name, size in bytes and, if known, sha256."""
    require(may_create(request.user), "upload files")
    try:
        given = read_json(request.body)
    except ValueError as error:
        return _problem(400, f"The request's body is not JSON: {error}.")
    form = UploadForm(given if isinstance(given, dict) else {})
    if not form.is_valid():
        errors = {field: " ".join(map(str, said)) for field, said in form.errors.items()}
        return _problem(422, "; ".join(f"{field}: {said}" for field, said in errors.items()), errors=errors)
    try:
        upload = upload_create(owner=signed_in_user(request), **form.cleaned_data)
    except Refused as refusal:
        return _problem(refusal.status, str(refusal))
    return _told(upload, 201)


@require_http_methods(["GET", "HEAD", "PATCH", "DELETE"])
def one_upload(request: HttpRequest, upload_id: uuid.UUID) -> HttpResponse:
    """GET: where it goes on. PATCH: its next part, at the header Upload-Offset. DELETE: forget it."""
    require(may_create(request.user), "upload files")
    upload = _upload(request, upload_id)
    try:
        if request.method == "PATCH":
            offset, length = request.headers.get("Upload-Offset", ""), request.headers.get("Content-Length", "")
            if not (_is_number(offset) and _is_number(length)):
                return _problem(400, "A part needs the headers Upload-Offset and Content-Length, in bytes.")
            part = io.BytesIO(request.read(int(length))) if int(length) <= MOST_BYTES_A_PART else io.BytesIO()
            owner = signed_in_user(request)
            upload = upload_append(upload.pk, owner, offset=int(offset), part=part, length=int(length))
        elif request.method == "DELETE":
            upload_discard(upload)
            return HttpResponse(status=204)
    except WrongOffset as refusal:
        return _problem(refusal.status, str(refusal), offset=refusal.offset)
    except Refused as refusal:
        return _problem(refusal.status, str(refusal))
    return _told(upload, 200)


@require_POST
def discard_upload(request: HttpRequest, upload_id: uuid.UUID) -> HttpResponse:
    """Forget an upload, from the page."""
    require(may_create(request.user), "upload files")
    try:
        upload_discard(_upload(request, upload_id))
    except Refused as refusal:
        messages.error(request, str(refusal))
    return redirect("catalog:imports")


def _upload(request: HttpRequest, upload_id: uuid.UUID) -> Upload:
    """Somebody else's is not found."""
    return get_object_or_404(Upload, pk=upload_id, owner=signed_in_user(request))


def _told(upload: Upload, status: int) -> HttpResponse:
    told = {
        "id": str(upload.pk),
        "name": upload.name,
        "size": upload.size,
        "offset": upload.offset,
        "kind": upload.kind,
        "part_bytes": MOST_BYTES_A_PART // 4,
    }
    return JsonResponse(told, status=status, headers={"Upload-Offset": str(upload.offset), "Cache-Control": "no-store"})


def _problem(status: int, detail: str, **more: Any) -> HttpResponse:
    return JsonResponse(
        {"status": status, "detail": detail, **more}, status=status, content_type="application/problem+json"
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
