"""Groups of runs: list, form with preview, page, cancelling all."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from simcore.config import SpecError
from studio.common.permissions import may_change, may_create, may_view, require, signed_in_user
from studio.runs.estimate import estimate_all
from studio.runs.group_detail import group_detail
from studio.runs.group_forms import GroupForm
from studio.runs.groups import group_cancel, group_create, groups_with_counts
from studio.runs.models import RunGroup
from studio.runs.services import RunRefused

PAGE_SIZE = 50


@require_GET
def list_groups(request: HttpRequest) -> HttpResponse:
    """All groups, newest first."""
    require(may_view(request.user), "look at runs")
    page = Paginator(groups_with_counts(), PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "runs/groups.html", {"page": page})


@require_http_methods(["GET", "POST"])
def new_group(request: HttpRequest) -> HttpResponse:
    """The form; with `preview` what it would create, without it that is created."""
    require(may_create(request.user), "launch runs")
    if request.method == "GET":
        initial = {name: value for name in ("kind", "preset", "base_run") if (value := request.GET.get(name))}
        return render(request, "runs/new_group.html", {"form": GroupForm(initial=initial)})
    form = GroupForm(request.POST)
    context: dict[str, object] = {"form": form}
    if form.is_valid():
        if "preview" not in request.POST:
            try:
                group = group_create(
                    owner=signed_in_user(request), name=form.cleaned_data["name"], preset=form.base_preset,
                    plan=form.plan,
                )  # fmt: skip
                return redirect("runs:group", group.pk)
            except (RunRefused, SpecError) as refusal:
                form.add_error(None, str(refusal))
        context |= {"plan": form.plan, "estimate": estimate_all([run.spec for run in form.plan.runs])}
    return render(request, "runs/new_group.html", context, status=422 if form.errors else 200)


@require_GET
def show_group(request: HttpRequest, pk: int) -> HttpResponse:
    """The grid's table and plot, and its runs."""
    require(may_view(request.user), "look at runs")
    group = get_object_or_404(RunGroup.objects.select_related("owner"), pk=pk)
    context = group_detail(group) | {"may_change": may_change(request.user, group.owner_id)}
    return render(request, "runs/group.html", context)


@require_POST
def cancel_group(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    """Cancel all of its runs that go on."""
    group = get_object_or_404(RunGroup, pk=pk)
    require(may_change(request.user, group.owner_id), "cancel runs that are not yours")
    try:
        number = group_cancel(group, actor=signed_in_user(request))
        messages.success(request, f"{number} run{'s' if number > 1 else ''} of {group.name} cancelled.")
    except RunRefused as refusal:
        messages.error(request, str(refusal))
    return redirect("runs:group", pk)
