"""Runs over REST: lists, launching, actions, and what runs record."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from simcore.config import RunSpec
from simcore.presets import PRESETS
from simcore.pretrain_config import PretrainSpec
from studio.api.endpoint import Endpoint, ListEndpoint, PageQuery
from studio.api.fields import Text
from studio.api.idempotency import idempotent
from studio.api.settings_field import SettingsField
from studio.common.permissions import may_change, may_create, require, signed_in_user
from studio.jobs.lifecycle import JobState, UserAction
from studio.jobs.services import actions_of
from studio.runs.distillation import TRAINING_KINDS
from studio.runs.fields import all_leaves, value_at
from studio.runs.models import Run
from studio.runs.rows import run_row, run_rows
from studio.runs.services import run_act, run_create_from_preset

ORDERS = ("-created", "created", "name", "-name", "-priority", "priority")
_ORDER_FIELDS = {"created": "job_id", "name": "name", "priority": "job__priority"}


class RunsQuery(PageQuery):
    """Filters and order of the list."""

    q = Text(max_length=200, required=False, allow_blank=True, help_text="Part of the name or of the teacher's title.")
    state = serializers.ChoiceField(choices=JobState.choices, required=False)
    owner = Text(max_length=150, required=False, help_text="Username.")
    teacher = Text(max_length=500, required=False, help_text="Reference of the teacher.")
    preset = Text(max_length=100, required=False)
    kind = serializers.ChoiceField(choices=TRAINING_KINDS, required=False)
    ordering = serializers.ChoiceField(choices=ORDERS, default="-created")


class RunSummary(serializers.Serializer[Any]):
    """A run as a row of the list."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=JobState.choices)
    reason = serializers.CharField(help_text="Why it is in this state, where there is something to say.")
    kind = serializers.ChoiceField(
        choices=TRAINING_KINDS, help_text="distil: a student of a teacher; pretrain: a teacher on a data set."
    )
    teacher_title = serializers.CharField(help_text="Empty where a teacher is trained.")
    dataset_title = serializers.CharField(help_text="What a teacher is trained on; empty where one is distilled.")
    objective = serializers.CharField()
    step = serializers.IntegerField()
    total_steps = serializers.IntegerField()
    headline = serializers.CharField(
        source="headline.name", help_text="The figure its data set is judged by first: frechet, sliced_wasserstein …"
    )
    student_figure = serializers.FloatField(
        allow_null=True, help_text="Newest value of it of the student, or of the teacher in training."
    )
    teacher_figure = serializers.FloatField(allow_null=True, help_text="The teacher's.")
    created = serializers.DateTimeField()
    owner = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    archived = serializers.BooleanField()
    group = serializers.IntegerField(source="group.pk", allow_null=True, default=None, help_text="Its group's number.")


class RunDetail(RunSummary):
    """A run, and what it was asked to do."""

    preset = serializers.CharField()
    teacher = serializers.CharField(allow_null=True, help_text="Reference; null where a teacher is trained.")
    dataset = serializers.CharField(allow_null=True, help_text="Reference of what a teacher is trained on, or null.")
    attempt = serializers.IntegerField()
    worker = serializers.CharField()
    device = serializers.CharField()
    priority = serializers.IntegerField()
    started = serializers.DateTimeField(allow_null=True)
    finished = serializers.DateTimeField(allow_null=True)
    actions = serializers.ListField(
        child=serializers.ChoiceField(choices=UserAction.choices), help_text="What can be done to it now."
    )
    settings = serializers.DictField(help_text="Every setting, with automatic choices resolved.")
    result = serializers.DictField(allow_null=True, help_text="The trainer's summary, once it has finished.")


class NewRun(serializers.Serializer[Any]):
    """A preset with some settings changed."""

    preset = serializers.ChoiceField(choices=list(PRESETS))
    name = Text(max_length=200, required=False, allow_blank=True, help_text="Empty: a default.")
    settings = SettingsField(required=False)


def _runs() -> QuerySet[Run]:
    return Run.objects.select_related("job__owner", "teacher", "dataset", "group").prefetch_related("tags")


def run_of(pk: int) -> Run:
    """The run with its job, owner and teacher, or 404."""
    return get_object_or_404(_runs(), pk=pk)


def detail_of(run: Run) -> dict[str, Any]:
    """What `RunDetail` shows."""
    job, leaves = run.job, all_leaves(PretrainSpec if run.dataset else RunSpec)
    return {
        **vars(run_row(run)),
        "preset": run.preset,
        "teacher": run.teacher.reference if run.teacher else None,
        "dataset": run.dataset.reference if run.dataset else None,
        "attempt": job.attempt,
        "worker": job.worker,
        "device": job.device,
        "priority": job.priority,
        "started": job.started_at,
        "finished": job.finished_at,
        "actions": [action["name"] for action in actions_of(job)],
        "settings": {leaf.path: value_at(job.spec, leaf.path) for leaf in leaves},
        "result": job.result,
    }


class Runs(ListEndpoint):
    """The runs, newest first, and launching one."""

    query_class = RunsQuery
    serializer_class = RunSummary

    def rows(self) -> QuerySet[Run]:
        asked = self.asked
        runs = _runs()
        if words := asked.get("q"):
            runs = runs.filter(Q(name__icontains=words) | Q(teacher__title__icontains=words))
        columns = {
            "state": "job__state",
            "owner": "job__owner__username",
            "teacher": "teacher__reference",
            "preset": "preset",
            "kind": "job__kind",
        }
        runs = runs.filter(**{column: asked[name] for name, column in columns.items() if name in asked})
        sign, name = ("-", asked["ordering"][1:]) if asked["ordering"][0] == "-" else ("", asked["ordering"])
        return runs.order_by(sign + _ORDER_FIELDS[name], "-pk")

    def prepare(self, page: list[Any]) -> list[Any]:
        return run_rows(page)

    @extend_schema(
        request=NewRun,
        responses={201: RunDetail},
        examples=[
            OpenApiExample(
                "A shorter demo with the L1 distance",
                value={"preset": "digits-demo", "name": "L1", "settings": {"objective.distance": "l1"}},
                request_only=True,
            )
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Launch a run from a preset. `Location` is its address."""
        require(may_create(request.user), "launch runs")
        asked = self.validated(NewRun)
        run = run_create_from_preset(
            owner=signed_in_user(request), name=asked.get("name", ""), preset=asked["preset"],
            settings=asked.get("settings", {}),
        )  # fmt: skip
        location = reverse("api:run", args=(run.pk,))
        return Response(RunDetail(detail_of(run)).data, status=status.HTTP_201_CREATED, headers={"Location": location})


class RunOne(Endpoint):
    """One run."""

    serializer_class = RunDetail

    def get(self, request: Request, pk: int) -> Response:
        return Response(RunDetail(detail_of(run_of(pk))).data)


class RunActions(Endpoint):
    """Pause, resume, checkpoint, cancel, retry."""

    @extend_schema(
        request=None,
        responses={200: RunDetail},
        parameters=[OpenApiParameter("action", str, OpenApiParameter.PATH, enum=UserAction.values)],
    )
    def post(self, request: Request, pk: int, action: str) -> Response:
        """Do it, or ask the worker for it. 409 where the state does not allow it."""
        run = run_of(pk)
        require(may_change(request.user, run.job.owner_id), "act on a run that is not yours")
        if action not in UserAction.values:
            raise Http404(f"There is no action “{action}”.")
        run_act(run, UserAction(action), actor=signed_in_user(request))
        return Response(RunDetail(detail_of(run_of(pk))).data)
