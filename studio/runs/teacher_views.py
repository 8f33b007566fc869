"""Launching the training of a teacher: access, form, service, response."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from simcore.config import SpecError
from studio.catalog.models import Dataset
from studio.common.permissions import may_create, require, signed_in_user
from studio.runs.estimate import Estimate, estimate_training
from studio.runs.forms import NewTeacherForm
from studio.runs.models import Run
from studio.runs.services import RunRefused
from studio.runs.teacher_training import teacher_train
from studio.runs.views import origin_of


@require_http_methods(["GET", "POST"])
def new_teacher(request: HttpRequest) -> HttpResponse:
    """The form, and launching what it says."""
    require(may_create(request.user), "launch runs")
    origin = origin_of(request)
    if origin and not origin.dataset:
        raise Http404("That run distils a teacher: its settings are not those of a training.")
    dataset = _dataset(request, origin)
    context: dict[str, Any] = {"datasets": Dataset.objects.all(), "dataset": dataset, "origin": origin}
    if dataset is None:
        return render(request, "runs/new_teacher.html", context)
    form = NewTeacherForm(request.POST if request.method == "POST" else None, dataset=dataset, origin=origin)
    if form.is_bound and form.is_valid() and (run := _launch(request, form)):
        return redirect("runs:detail", run.pk)
    context |= {"form": form, "estimate": _estimate(form) if form.is_bound else None}
    return render(request, "runs/new_teacher.html", context, status=422 if form.errors else 200)


def _launch(request: HttpRequest, form: NewTeacherForm) -> Run | None:
    """None where it was refused, which then stands in the form."""
    try:
        return teacher_train(owner=signed_in_user(request), name=form.cleaned_data["name"], spec=form.spec)
    except RunRefused as refusal:
        form.add_error(None, str(refusal))
    except SpecError as error:  # since the form was checked, the disk filled up
        form.add_problems(error)
    return None


@require_POST
def estimate_teacher(request: HttpRequest) -> HttpResponse:
    """The estimate for the form as it stands."""
    require(may_create(request.user), "launch runs")
    dataset = _dataset(request, None)
    if dataset is None:
        raise Http404("There is no data set yet.")
    estimate = _estimate(NewTeacherForm(request.POST, dataset=dataset))
    return render(request, "runs/_estimate.html", {"estimate": estimate, "training": True})


def _dataset(request: HttpRequest, origin: Run | None) -> Dataset | None:
    """The one that is asked for, else the origin's, else the first; None where there is none at all."""
    asked = (request.POST.get("dataset") or request.GET.get("dataset") or "").replace("\0", "")
    if not asked:
        return origin.dataset if origin else Dataset.objects.first()
    found = Dataset.objects.filter(reference=asked).first()
    if found is None:
        raise Http404(f"The catalogue has no data set “{asked[:100]}”.")
    return found


def _estimate(form: NewTeacherForm) -> Estimate:
    if not form.is_valid():
        return Estimate(errors=sum(len(errors) for errors in form.errors.values()))
    return estimate_training(form.spec, form.dataset)
