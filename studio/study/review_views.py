"""Reviewing a study's images, and their files for signed-in people."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from studio.common.permissions import may_view, require, signed_in_user
from studio.runs.views import HtmxRequest
from studio.study.encode import MOST_BYTES
from studio.study.lifecycle import StudyRefused, StudyState
from studio.study.models import Image, Study
from studio.study.opening import enlargement
from studio.study.pictures import live_images
from studio.study.review import image_approve, image_reject, image_replace
from studio.study.selectors import review_pairs, review_progress, study_context
from studio.study.storage import stored_image
from studio.study.views import find_study, study_to_change


@require_GET
def show_review(request: HttpRequest, pk: int) -> HttpResponse:
    """Every pair, with what was said of its images."""
    require(may_view(request.user), "look at studies")
    study = find_study(pk)
    context = study_context(study, request.user)
    reviewable = context["mine"] and study.state == StudyState.REVIEW
    context |= {"pairs": review_pairs(study), "progress": review_progress(study), "reviewable": reviewable}
    return render(request, "study/review.html", context)


@require_POST
def judge_image(request: HtmxRequest, pk: int, image: int) -> HttpResponse:
    """Approve or reject: `verdict`, and for a rejection the `reason`."""
    study = study_to_change(request, pk)
    row, user = _image(pk, image), signed_in_user(request)
    if request.POST.get("verdict") == Image.Review.APPROVED:
        return _answer(request, study, row, lambda: image_approve(row, user))
    if request.POST.get("verdict") == Image.Review.REJECTED:
        return _answer(request, study, row, lambda: image_reject(row, user, request.POST.get("reason", "")))
    messages.error(request, "An image is approved or rejected.")
    return redirect("study:review", pk)


@require_POST
def replace_image(request: HtmxRequest, pk: int, image: int) -> HttpResponse:
    """Put an uploaded picture into the place of a rejected one."""
    study = study_to_change(request, pk)
    row, file = _image(pk, image), request.FILES.get("file")

    def replace() -> Image:
        if not isinstance(file, UploadedFile):
            raise StudyRefused("Choose the picture that takes its place.", "file")
        name = file.name or "the file"
        return image_replace(row, signed_in_user(request), name=name, content=file.read(MOST_BYTES + 1))

    return _answer(request, study, row, replace)


def _answer(request: HtmxRequest, study: Study, image: Image, act: Callable[[], Image]) -> HttpResponse:
    """The image as it is then: as a part of the page where that is asked for."""
    refusal = ""
    try:
        image = act()
    except StudyRefused as error:
        refusal = str(error)
    except OSError as error:
        refusal = f"The picture cannot be written ({error.strerror}): nothing has changed."
    if request.htmx:
        study.refresh_from_db(fields=["state"])  # it may have moved since
        context = study_context(study, request.user) | {"progress": review_progress(study)}
        context["reviewable"] = study.state == StudyState.REVIEW
        shown = Image.objects.select_related("prompt", "arm", "reviewed_by").get(pk=image.pk)
        return render(request, "study/_judged.html", context | {"image": shown, "refusal": refusal})
    if refusal:
        messages.error(request, refusal)
    return redirect(f"{reverse('study:review', args=(study.pk,))}#image-{image.pk}")


@require_GET
def show_image(request: HttpRequest, pk: int, image: int) -> HttpResponse:
    """The picture as it was made or uploaded. It never changes."""
    require(may_view(request.user), "look at studies")
    kept = {"Cache-Control": "private, max-age=31536000, immutable"}
    return HttpResponse(_content(_image(pk, image)), content_type="image/png", headers=kept)


@require_GET
def show_as_participant(request: HttpRequest, pk: int, image: int) -> HttpResponse:
    """The picture as participants see it, for the preview."""
    require(may_view(request.user), "look at studies")
    row = _image(pk, image)
    enlarge = enlargement(list(live_images(get_object_or_404(Study, pk=pk))) or [row])
    return HttpResponse(enlarge(_content(row)), content_type="image/png")


def _content(image: Image) -> bytes:
    if (path := stored_image(image)) is None:
        raise Http404("The file is gone from the studio's data folder.")
    return path.read_bytes()


def _image(study: int, image: int) -> Image:
    rows = Image.objects.select_related("prompt", "arm", "reviewed_by")
    return get_object_or_404(rows, pk=image, prompt__study=study)
