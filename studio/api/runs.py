"""Runs over REST: lists, launching, actions, and what runs record."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
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
from studio.api.endpoint import HIGHEST_ID, Endpoint, ListEndpoint, PageQuery
from studio.api.fields import Text
from studio.api.idempotency import idempotent
from studio.api.problems import Unprocessable
from studio.api.settings_field import SettingsField
from studio.common.permissions import may_change, may_create, may_set_priority, require, signed_in_user
from studio.jobs.lifecycle import JobState, UserAction
from studio.jobs.models import Job
from studio.jobs.queue import HIGHEST_PRIORITY, job_set_priority
from studio.jobs.services import actions_of
from studio.runs.deletion import run_delete
from studio.runs.distillation import TRAINING_KINDS
from studio.runs.estimate import estimate
from studio.runs.fields import all_leaves, value_at
from studio.runs.labels import MOST_TAGS, NOTES_LENGTH, TAG_LENGTH, run_archive, run_label
from studio.runs.listing import RunFilter, filtered_runs
from studio.runs.models import Run
from studio.runs.rows import OBJECTIVE_LABELS, run_row, run_rows
from studio.runs.services import run_act, run_clone, run_create_from_preset
from studio.runs.specs import changed_settings, changed_spec, checked_teacher, errors_below, preset_start

# What the list's page calls them; priority has no column there.
SORTS = {"created": "-age", "name": "name", "state": "state", "progress": "progress", "figure": "figure"}
ORDERS = tuple(f"{sign}{name}" for name in (*SORTS, "priority") for sign in ("", "-"))
FILTERS = ("q", "state", "owner", "kind", "preset", "objective", "tag", "group")
KINDS = [(name, name) for name in TRAINING_KINDS]
ARCHIVED = {"all": "all", "no": "", "only": "only"}


class RunsQuery(PageQuery):
    """Filters and order of the list."""

    q = Text(
        max_length=200, required=False, allow_blank=True,
        help_text="Part of the name, of the teacher's title, of the notes or of a tag.",
    )  # fmt: skip
    state = serializers.ChoiceField(choices=JobState.choices, required=False)
    owner = Text(max_length=150, required=False, help_text="Username.")
    teacher = Text(max_length=500, required=False, help_text="Reference of the teacher.")
    preset = Text(max_length=100, required=False)
    kind = serializers.ChoiceField(choices=KINDS, required=False)
    objective = serializers.ChoiceField(choices=list(OBJECTIVE_LABELS), required=False)
    tag = Text(max_length=40, required=False)
    group = serializers.IntegerField(min_value=0, max_value=HIGHEST_ID, required=False, help_text="Number of a group.")
    archived = serializers.ChoiceField(choices=list(ARCHIVED), default="all")
    ordering = serializers.ChoiceField(choices=ORDERS, default="-created")


class RunSummary(serializers.Serializer[Any]):
    """A run as a row of the list."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=JobState.choices)
    reason = serializers.CharField(help_text="Why it is in this state, where there is something to say.")
    kind = serializers.ChoiceField(
        choices=KINDS, help_text="distil: a student of a teacher; pretrain: a teacher on a data set."
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
    preset_settings = serializers.DictField(help_text="The preset's values of the settings that differ from it.")
    notes = serializers.CharField()
    cell = serializers.CharField(help_text="Its place in its group.")
    result = serializers.DictField(allow_null=True, help_text="The trainer's summary, once it has finished.")


class NewRun(serializers.Serializer[Any]):
    """A preset with some settings changed."""

    preset = serializers.ChoiceField(choices=list(PRESETS))
    name = Text(max_length=200, required=False, allow_blank=True, help_text="Empty: a default.")
    settings = SettingsField(required=False)


class NewClone(serializers.Serializer[Any]):
    """Settings that differ from the run's that is cloned."""

    name = Text(max_length=200, required=False, allow_blank=True, help_text="Empty: the run's, and “copy”.")
    settings = SettingsField(required=False)


class RunChange(serializers.Serializer[Any]):
    """What is left out stays."""

    name = Text(max_length=200, required=False)
    tags = serializers.ListField(child=Text(max_length=TAG_LENGTH), max_length=MOST_TAGS, required=False)
    notes = Text(max_length=NOTES_LENGTH, required=False, allow_blank=True)
    archived = serializers.BooleanField(required=False)
    priority = serializers.IntegerField(
        min_value=-HIGHEST_PRIORITY, max_value=HIGHEST_PRIORITY, required=False, help_text="Higher goes first."
    )


class EstimateAnswer(serializers.Serializer[Any]):
    """In words, from what earlier runs took."""

    time = serializers.CharField()
    memory = serializers.CharField()
    disk = serializers.CharField()
    notes = serializers.ListField(child=serializers.CharField())


def _runs() -> QuerySet[Run]:
    return Run.objects.select_related("job__owner", "teacher", "dataset", "group").prefetch_related("tags")


def run_of(pk: int) -> Run:
    """The run with its job, owner and teacher, or 404."""
    return get_object_or_404(_runs(), pk=pk)


def detail(run: Run) -> Any:
    """The answer about one run."""
    job, leaves = run.job, all_leaves(PretrainSpec if run.dataset else RunSpec)
    told = {
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
        "preset_settings": changed_settings(run),
        "notes": run.notes,
        "cell": run.cell,
        "result": job.result,
    }
    return RunDetail(told).data


class Runs(ListEndpoint):
    """The runs, newest first, and launching one."""

    query_class = RunsQuery
    serializer_class = RunSummary

    def rows(self) -> QuerySet[Run]:
        asked = self.asked
        name, sign = asked["ordering"].removeprefix("-"), "-" * asked["ordering"].startswith("-")
        given = {key: str(asked[key]) for key in FILTERS if key in asked}
        sort = f"{sign}{SORTS[name]}".removeprefix("--") if name in SORTS else ""
        runs = filtered_runs(RunFilter(**given, archived=ARCHIVED[asked["archived"]], sort=sort))
        if "teacher" in asked:
            runs = runs.filter(teacher__reference=asked["teacher"])
        return runs.order_by(f"{sign}job__priority", "-pk") if name == "priority" else runs

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
        return launched(run)


def launched(run: Run) -> Response:
    """The answer to a launch."""
    location = reverse("api:run", args=(run.pk,))
    return Response(detail(run), status=status.HTTP_201_CREATED, headers={"Location": location})


class RunOne(Endpoint):
    """One run."""

    serializer_class = RunDetail

    def get(self, request: Request, pk: int) -> Response:
        return Response(detail(run_of(pk)))

    @extend_schema(
        request=RunChange,
        responses={200: RunDetail},
        examples=[OpenApiExample("Two tags", value={"tags": ["baseline", "low lr"]}, request_only=True)],
    )
    def patch(self, request: Request, pk: int) -> Response:
        """Change its name, tags, notes or priority, put it away or bring it back: all that is asked, or nothing."""
        run = run_of(pk)
        require(may_change(request.user, run.job.owner_id), "change a run that is not yours")
        asked = self.validated(RunChange)
        with transaction.atomic():
            _label(run, asked)
            if "archived" in asked:
                run_archive(run, asked["archived"])
            if "priority" in asked:
                set_priority(request, run.job, asked["priority"])
        return Response(detail(run_of(pk)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Delete an ended run with its records and files. 409 while it goes on, or where something uses it."""
        run = run_of(pk)
        require(may_change(request.user, run.job.owner_id), "delete a run that is not yours")
        run_delete(run, actor=signed_in_user(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _label(run: Run, asked: dict[str, Any]) -> None:
    if not {"name", "tags", "notes"} & asked.keys():
        return
    tags = asked.get("tags", [tag.name for tag in run.tags.all()])
    if any("," in tag for tag in tags):
        raise Unprocessable({"tags": "a tag holds no comma"})
    run_label(run, name=asked.get("name", run.name), tags=",".join(tags), notes=asked.get("notes", run.notes))


def set_priority(request: Request, job: Job, priority: int) -> None:
    """Owners may let others go first; only administrators push ahead."""
    allowed = priority == job.priority or may_set_priority(request.user, job.owner_id, job.priority, priority)
    require(allowed, "push ahead of others in the queue")
    job_set_priority(job, priority, actor=signed_in_user(request).get_username())


class Clones(Endpoint):
    """Runs with the settings of this one."""

    @extend_schema(request=NewClone, responses={201: RunDetail})
    @idempotent
    def post(self, request: Request, pk: int) -> Response:
        """Launch a run with this run's settings, some of them changed."""
        require(may_create(request.user), "launch runs")
        origin, asked = run_of(pk), self.validated(NewClone)
        return launched(
            run_clone(
                origin, owner=signed_in_user(request), name=asked.get("name", ""), settings=asked.get("settings", {})
            )
        )


class Estimates(Endpoint):
    """What runs would take."""

    @extend_schema(request=NewRun, responses={200: EstimateAnswer})
    def post(self, request: Request) -> Response:
        """Of a run that is not launched: the body of a launch, the answer in words. 422 where it could not be."""
        require(may_create(request.user), "launch runs")
        asked = self.validated(NewRun)
        with errors_below("settings"):
            spec = changed_spec(preset_start(asked["preset"]), asked.get("settings", {}))
            teacher = checked_teacher(spec)
        return Response(EstimateAnswer(estimate(spec, teacher)).data)


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
        return Response(detail(run_of(pk)))
