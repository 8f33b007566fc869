"""Groups of runs: sweeps, and the paper's ablation."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from simcore.presets import PRESETS
from studio.api.endpoint import HIGHEST_ID, Endpoint, ListEndpoint
from studio.api.fields import Text
from studio.api.idempotency import idempotent
from studio.api.problems import Unprocessable
from studio.api.runs import EstimateAnswer, RunSummary
from studio.api.settings_field import SettingsField, problem_of, schema_of
from studio.common.permissions import may_change, may_create, require, signed_in_user
from studio.runs.estimate import estimate_all
from studio.runs.fields import all_leaves
from studio.runs.group_detail import group_detail
from studio.runs.groups import (
    MOST_RUNS,
    Axis,
    Plan,
    check_plan,
    group_cancel,
    group_create,
    groups_with_counts,
    plan_ablation,
    plan_sweep,
)
from studio.runs.models import Run, RunGroup
from studio.runs.specs import changed_spec, errors_below, preset_start, run_start

MOST_AXES = 2


@extend_schema_field(
    {
        "type": "object",
        "description": f"Settings to vary: dotted path → values. At most {MOST_AXES}.",
        "properties": {
            leaf.path: {"type": "array", "items": schema_of(leaf), "minItems": 1, "maxItems": MOST_RUNS}
            for leaf in all_leaves()
            if leaf.path != "seed"
        },
        "additionalProperties": False,
        "maxProperties": MOST_AXES,
    }
)
class AxesField(serializers.Field[Any, Any, Any, Any]):
    """As a list of Axis; each value is of the setting's type."""

    def to_internal_value(self, data: Any) -> list[Axis]:
        if not isinstance(data, dict) or len(data) > MOST_AXES:
            raise serializers.ValidationError(f"an object of at most {MOST_AXES} settings, each with a list of values")
        leaves = {leaf.path: leaf for leaf in all_leaves() if leaf.path != "seed"}
        problems, axes = {}, []
        for path, values in data.items():
            if path not in leaves:
                problems[path] = ["there is no such setting to vary"]
            elif not isinstance(values, list) or not 1 <= len(values) <= MOST_RUNS:
                problems[path] = [f"a list of 1 to {MOST_RUNS} values"]
            elif wrong := [problem for value in values if (problem := problem_of(leaves[path], value))]:
                problems[path] = [wrong[0]]
            else:
                axes.append(Axis(path, leaves[path].label, tuple(dict.fromkeys(values))))
        if problems:
            raise serializers.ValidationError(problems)
        return axes

    def to_representation(self, value: Any) -> Any:
        return value


class NewGroup(serializers.Serializer[Any]):
    """From a preset, or from the settings of a run; each cell once for each seed."""

    kind = serializers.ChoiceField(choices=RunGroup.Kind.choices)
    preset = serializers.ChoiceField(choices=list(PRESETS))
    base_run = serializers.IntegerField(
        min_value=0, max_value=HIGHEST_ID, required=False, help_text="Start from this run's settings, not the preset's."
    )
    name = Text(max_length=200, required=False, allow_blank=True, help_text="Empty: kind and preset.")
    settings = SettingsField(required=False)
    axes = AxesField(required=False)
    seeds = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=2**31), min_length=1, max_length=MOST_RUNS,
        required=False, help_text="Without: 0.",
    )  # fmt: skip
    diff_instruct = serializers.BooleanField(
        required=False, help_text="Of an ablation: with Diff-Instruct beside the figure's eight cells."
    )


class GroupRow(serializers.ModelSerializer[RunGroup]):
    """A group of runs."""

    owner = serializers.CharField(source="owner.username")
    runs = serializers.IntegerField(source="number", help_text="How many.")
    succeeded = serializers.IntegerField(source="done")

    class Meta:
        model = RunGroup
        fields = ("id", "name", "kind", "owner", "created_at", "runs", "succeeded")


class AxisRow(serializers.Serializer[Any]):
    path = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    values = serializers.ListField(child=serializers.JSONField())


class CellRow(serializers.Serializer[Any]):
    """The runs of one cell, one a seed, and what they come to."""

    name = serializers.CharField()
    runs = serializers.SerializerMethodField(help_text="Their numbers.")
    values = serializers.ListField(
        child=serializers.FloatField(), help_text="Final headline figures of those that have succeeded."
    )
    mean = serializers.FloatField(allow_null=True)
    best = serializers.BooleanField(help_text="Its mean is the least.")

    def get_runs(self, cell: Any) -> list[int]:
        return [row.id for row in cell.runs]


class Curve(serializers.Serializer[Any]):
    """Parallel lists: the headline figure's least, greatest and mean over the seeds, by step."""

    step = serializers.ListField(child=serializers.FloatField())
    min = serializers.ListField(child=serializers.FloatField())
    max = serializers.ListField(child=serializers.FloatField())
    mean = serializers.ListField(child=serializers.FloatField())


class GroupDetail(GroupRow):
    """With its table, its curves and its runs."""

    axes = AxisRow(many=True)
    headline = serializers.CharField(help_text="The figure that the cells are judged by.")
    cells = CellRow(many=True, help_text="In the order of the axes' product; the last axis varies fastest.")
    curves = serializers.DictField(child=Curve(), help_text="By the cell's name.")
    going = serializers.IntegerField(help_text="How many runs can be cancelled.")
    members = RunSummary(many=True)

    class Meta(GroupRow.Meta):
        fields = (*GroupRow.Meta.fields, "axes", "headline", "cells", "curves", "going", "members")  # type: ignore[assignment]


class PlannedRow(serializers.Serializer[Any]):
    name = serializers.CharField()
    cell = serializers.CharField()


class PlanAnswer(serializers.Serializer[Any]):
    """What would be launched, and what it would take."""

    runs = PlannedRow(many=True)
    estimate = EstimateAnswer()


class Cancelled(serializers.Serializer[Any]):
    cancelled = serializers.IntegerField(help_text="How many runs.")


SWEEP = OpenApiExample(
    "Two learning rates, two seeds",
    value={
        "kind": "sweep",
        "preset": "digits-demo",
        "settings": {"iterations": 500},
        "axes": {"student_optimizer.learning_rate": [1e-4, 2e-4]},
        "seeds": [0, 1],
    },
    request_only=True,
)


class Groups(ListEndpoint):
    """All groups, newest first."""

    serializer_class = GroupRow

    def rows(self) -> QuerySet[RunGroup]:
        return groups_with_counts()

    @extend_schema(request=NewGroup, responses={201: GroupDetail}, examples=[SWEEP])
    @idempotent
    def post(self, request: Request) -> Response:
        """Launch all runs of a sweep or of the paper's ablation, or none."""
        require(may_create(request.user), "launch runs")
        asked = self.validated(NewGroup)
        plan, preset = _plan(asked)
        group = group_create(owner=signed_in_user(request), name=asked.get("name", ""), preset=preset, plan=plan)
        location = reverse("api:group", args=(group.pk,))
        return Response(_detail(group.pk), status=status.HTTP_201_CREATED, headers={"Location": location})


class GroupPlans(Endpoint):
    """Groups that are not launched."""

    @extend_schema(request=NewGroup, responses={200: PlanAnswer}, examples=[SWEEP])
    def post(self, request: Request) -> Response:
        """The runs that the same body would launch, and what they would take."""
        require(may_create(request.user), "launch runs")
        plan, _ = _plan(self.validated(NewGroup))
        body = {"runs": plan.runs, "estimate": estimate_all([run.spec for run in plan.runs])}
        return Response(PlanAnswer(body).data)


class GroupOne(Endpoint):
    """One group: its table, its curves, its runs."""

    serializer_class = GroupDetail

    def get(self, request: Request, pk: int) -> Response:
        return Response(_detail(pk))


class GroupCancel(Endpoint):
    """Ending a group."""

    @extend_schema(request=None, responses={200: Cancelled})
    def post(self, request: Request, pk: int) -> Response:
        """Cancel all of its runs that go on. 409 where none does."""
        group = get_object_or_404(RunGroup, pk=pk)
        require(may_change(request.user, group.owner_id), "cancel runs that are not yours")
        return Response({"cancelled": group_cancel(group, actor=signed_in_user(request))})


def _plan(asked: dict[str, Any]) -> tuple[Plan, str]:
    """What a NewGroup comes to, and the preset it starts from. Raises SpecError, Unprocessable."""
    start, preset = preset_start(asked["preset"]), asked["preset"]
    if (number := asked.get("base_run")) is not None:
        run = Run.objects.select_related("job").filter(pk=number).first()
        if run is None:
            raise Unprocessable({"base_run": f"there is no run {number}"})
        start, preset = run_start(run), run.preset
    with errors_below("settings"):
        base = changed_spec(start, asked.get("settings", {}))
    seeds = list(dict.fromkeys(asked.get("seeds", [0])))
    if asked["kind"] == RunGroup.Kind.ABLATION:
        if "axes" in asked:
            raise Unprocessable({"axes": "the ablation has its own; leave them out"})
        plan = plan_ablation(base, seeds, diff_instruct=asked.get("diff_instruct", False))
    else:
        plan = plan_sweep(base, asked.get("axes", []), seeds)
    with errors_below("settings"):
        check_plan(plan)
    return plan, preset


def _detail(pk: int) -> Any:
    group = get_object_or_404(groups_with_counts(), pk=pk)
    told = group_detail(group)
    more = {name: told[name] for name in ("cells", "curves", "going")}
    for name, value in {**more, "headline": told["headline"].name, "members": told["rows"]}.items():
        setattr(group, name, value)
    return GroupDetail(group).data
