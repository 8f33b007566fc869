"""Building a study: its prompts, its arms, and the images that people upload."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from studio.common.permissions import require, signed_in_user
from studio.study.archive import images_upload
from studio.study.arms import arm_set, arms_of, class_lines
from studio.study.forms import ArmForm, DrawForm
from studio.study.lifecycle import StudyRefused, StudyState
from studio.study.models import Arm, Study
from studio.study.pictures import live_images
from studio.study.prompts import MOST_LIST_BYTES, Line, built_in, prompts_draw, prompts_set, read_list, read_typed
from studio.study.selectors import arm_rows, study_context
from studio.study.views import NOT_YOURS, find_study, study_to_change


@require_http_methods(["GET", "POST"])
def edit_prompts(request: HttpRequest, pk: int) -> HttpResponse:
    """The prompts, and three ways to set them: edit the table, type a list, draw from one."""
    study = find_study(pk)
    context = study_context(study, request.user)
    if request.method == "GET":
        return _prompts_page(request, study, context)
    require(context["mine"], NOT_YOURS)
    try:
        if "typed" in request.POST:
            prompts_set(study, signed_in_user(request), read_typed(request.POST["typed"]), how="typed the prompts")
        else:
            prompts_set(study, signed_in_user(request), _rows(request))
    except StudyRefused as refusal:
        return _prompts_page(request, study, context, refusal=str(refusal))
    messages.success(request, "The prompts are saved.")
    return redirect("study:prompts", pk)


@require_POST
def draw_prompts(request: HttpRequest, pk: int) -> HttpResponse:
    """Replace the prompts by drawn ones."""
    study = study_to_change(request, pk)
    classes = class_lines(study)
    form = DrawForm(request.POST, request.FILES, study=study, classes=len(classes))
    if form.is_valid():
        given = form.cleaned_data
        try:
            lines, origin = _lines(given, classes)
            prompts_draw(
                study, signed_in_user(request), lines, number=given["number"], seed=given["seed"], origin=origin,
                again=given["source"] == DrawForm.CLASSES,
            )  # fmt: skip
            messages.success(request, f"{given['number']} prompts are drawn.")
            return redirect("study:prompts", pk)
        except StudyRefused as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
    return _prompts_page(request, study, study_context(study, request.user), form=form)


def _lines(given: dict[str, Any], classes: list[Line]) -> tuple[list[Line], str]:
    """What to draw from, and what it is called in the audit trail."""
    if given["source"] == DrawForm.CLASSES:
        return classes, "the classes of the arms"
    if given["source"] == DrawForm.BUILT_IN:
        return built_in(), "the built-in list"
    file: UploadedFile[bytes] = given["file"]
    name = file.name or "the file"
    return read_list(name, file.read(MOST_LIST_BYTES + 1)), name


def _rows(request: HttpRequest) -> list[Line]:
    """The table as it was sent; a row without text is gone. Raises StudyRefused for a class that is no number."""
    lines = []
    pairs = zip(request.POST.getlist("text"), request.POST.getlist("label"), strict=False)
    for number, (text, label) in enumerate(pairs, start=1):
        label = label.strip()
        if not text.strip():
            continue
        if label and not (label.isascii() and label.isdigit() and len(label) < 7):
            raise StudyRefused(f"Prompt {number}: the class is a number from 0 (given: {label[:40]}).")
        lines.append(Line(text.strip(), int(label) if label else None))
    return lines


def _prompts_page(
    request: HttpRequest, study: Study, context: dict[str, Any], *, form: DrawForm | None = None, refusal: str = ""
) -> HttpResponse:
    rows: list[Any] = list(study.prompts.all())
    typed = request.POST.get("typed", "")
    if refusal and not typed:  # what was sent is not lost
        sent = zip(request.POST.getlist("text"), request.POST.getlist("label"), strict=False)
        rows = [{"text": text, "label": label} for text, label in sent]
    context |= {
        "rows": rows,
        "typed": typed,
        "refusal": refusal,
        "form": form or DrawForm(study=study, classes=len(class_lines(study))),
        "editable": context["mine"] and study.state == StudyState.DRAFT,
    }
    return render(request, "study/prompts.html", context, status=422 if refusal or (form and form.errors) else 200)


@require_http_methods(["GET", "POST"])
def edit_arms(request: HttpRequest, pk: int) -> HttpResponse:
    """Both arms; POST sets the one at `position`."""
    study = find_study(pk)
    context = study_context(study, request.user)
    if request.method == "GET":
        return _arms_page(request, study, context)
    require(context["mine"], NOT_YOURS)
    position = _position(request)
    arms = {arm.position: arm for arm in arms_of(study)}
    form = ArmForm(request.POST, position=position, arm=arms.get(position))
    if form.is_valid():
        try:
            arm_set(study, signed_in_user(request), position=position, **form.source())
            messages.success(request, f"Arm {'AB'[position]} is set.")
            return redirect("study:arms", pk)
        except StudyRefused as refusal:
            form.refused(refusal)
    return _arms_page(request, study, context, forms={position: form})


@require_POST
def upload_images(request: HttpRequest, pk: int) -> HttpResponse:
    """A zip of images for the arm at `position`."""
    study = study_to_change(request, pk)
    file, position = request.FILES.get("file"), _position(request)
    refusal = "Choose the zip archive."
    if isinstance(file, UploadedFile):
        name = file.name or "the archive"
        try:
            number = images_upload(
                study, signed_in_user(request), position=position, name=name, file=file, size=file.size or 0
            )
            messages.success(request, f"{number} images of {name} are here.")
            return redirect("study:arms", pk)
        except StudyRefused as error:
            refusal = str(error)
        except OSError as error:
            refusal = f"The images cannot be written ({error.strerror}): nothing has changed."
    context = study_context(study, request.user)
    return _arms_page(request, study, context, refusals={position: refusal})


def _position(request: HttpRequest) -> int:
    return 1 if request.POST.get("position") == "1" else 0


def _arms_page(
    request: HttpRequest,
    study: Study,
    context: dict[str, Any],
    *,
    forms: dict[int, ArmForm] | None = None,
    refusals: dict[int, str] | None = None,
) -> HttpResponse:
    forms, refusals = forms or {}, refusals or {}
    images = list(live_images(study).values_list("arm__position", flat=True))
    rows = [
        row
        | {
            "form": forms.get(row["position"]) or ArmForm(position=row["position"], arm=row["arm"]),
            "uploads": row["arm"] is not None and row["arm"].kind == Arm.Kind.UPLOAD,
            "images": images.count(row["position"]),
            "refusal": refusals.get(row["position"], ""),
        }
        for row in arm_rows(study)
    ]
    context |= {
        "rows": rows,
        "prompt_count": study.prompts.count(),
        "editable": context["mine"] and study.state == StudyState.DRAFT,
        "uploadable": context["mine"] and study.state in (StudyState.DRAFT, StudyState.REVIEW),
    }
    wrong = bool(refusals) or any(form.errors for form in forms.values())
    return render(request, "study/arms.html", context, status=422 if wrong else 200)
