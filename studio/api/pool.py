"""Workers with their devices, and the queue in order."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from studio.api.endpoint import Endpoint, ListEndpoint
from studio.api.people import AdministratorEndpoint
from studio.api.runs import set_priority
from studio.common.permissions import may_change, require, signed_in_user
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.jobs.queue import DIRECTIONS, HIGHEST_PRIORITY, job_move
from studio.pool.models import Worker, WorkerChange
from studio.pool.selectors import ACTIVE, DRAINING, LOST, WorkerRow, queue_in_order, wait_reasons, worker_rows
from studio.pool.services import worker_drain

WORKER_STATES = [(state, state) for state in (ACTIVE, DRAINING, LOST)]


class DeviceFacts(serializers.Serializer[Any]):
    """Memory in bytes, utilisation in percent; null where unknown."""

    uuid = serializers.CharField(source="device.uuid")
    kind = serializers.CharField(source="device.kind")
    name = serializers.CharField(source="device.name")
    memory = serializers.IntegerField(source="device.memory")
    memory_used = serializers.IntegerField(source="device.memory_used", allow_null=True)
    utilisation = serializers.IntegerField(source="device.utilisation", allow_null=True)
    job = serializers.IntegerField(source="job_id", allow_null=True, help_text="Which has it now.")


class JobFacts(serializers.Serializer[Any]):
    """A job; one that trains has its run's number."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    name = serializers.SerializerMethodField(help_text="The run's; empty for other jobs.")

    def get_name(self, job: Job) -> str:
        return job.run.name if hasattr(job, "run") else ""


class HeldJob(JobFacts):
    """A job that a worker has."""

    state = serializers.ChoiceField(choices=JobState.choices)


class WorkerFacts(serializers.Serializer[Any]):
    """A worker process, as it announced itself."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    queues = serializers.SerializerMethodField()
    state = serializers.ChoiceField(choices=WORKER_STATES, help_text="Lost: silent for too long.")
    draining = serializers.BooleanField(help_text="It takes nothing new.")
    started_at = serializers.DateTimeField()
    heartbeat_at = serializers.DateTimeField()
    devices = DeviceFacts(many=True)
    jobs = HeldJob(many=True, help_text="What it runs.")

    def get_queues(self, row: WorkerRow) -> list[str]:
        return row.queues.split(",")


class Workers(ListEndpoint):
    """Every worker, by name."""

    serializer_class = WorkerFacts

    def rows(self) -> list[Any]:
        return worker_rows()


class WorkerOne(Endpoint):
    """One worker."""

    serializer_class = WorkerFacts

    def get(self, request: Request, pk: int) -> Response:
        return Response(_worker(pk))


class WorkerDrain(AdministratorEndpoint):
    """Letting a worker finish."""

    to_do = "drain workers"
    draining = True

    @extend_schema(request=None, responses={200: WorkerFacts})
    def post(self, request: Request, pk: int) -> Response:
        """It finishes what it does and takes nothing new."""
        return self._set(request, pk)

    def _set(self, request: Request, pk: int) -> Response:
        actor = signed_in_user(request).get_username()
        worker_drain(get_object_or_404(Worker, pk=pk), draining=self.draining, actor=actor)
        return Response(_worker(pk))


class WorkerUndrain(WorkerDrain):
    """Letting a worker work again."""

    draining = False

    @extend_schema(request=None, responses={200: WorkerFacts})
    def post(self, request: Request, pk: int) -> Response:
        """It takes work again."""
        return self._set(request, pk)


def _worker(pk: int) -> Any:
    row = next((row for row in worker_rows() if row.id == pk), None)
    if row is None:
        raise Http404
    return WorkerFacts(row).data


class WorkerChangeRow(serializers.ModelSerializer[WorkerChange]):
    """What an administrator did to a worker."""

    class Meta:
        model = WorkerChange
        fields = ("id", "at", "worker", "change", "actor")


class WorkerChanges(ListEndpoint):
    """Who drained which worker, newest first."""

    serializer_class = WorkerChangeRow

    def rows(self) -> QuerySet[WorkerChange]:
        return WorkerChange.objects.order_by("-pk")


class QueuedJob(JobFacts):
    """A job that waits. `reason`: why it does, where no worker can take it now."""

    queue = serializers.CharField()
    owner = serializers.CharField(source="owner.username")
    priority = serializers.IntegerField()
    queued_at = serializers.DateTimeField()
    device_kind = serializers.CharField()
    device_count = serializers.IntegerField()
    device_memory = serializers.IntegerField(help_text="Bytes that it needs on each.")
    reason = serializers.CharField()


class QueueChange(serializers.Serializer[Any]):
    """What is left out stays."""

    priority = serializers.IntegerField(
        min_value=-HIGHEST_PRIORITY, max_value=HIGHEST_PRIORITY, required=False, help_text="Higher goes first."
    )


class Queue(ListEndpoint):
    """The jobs that wait, in the order in which a worker that fits them all would take them."""

    serializer_class = QueuedJob

    def rows(self) -> QuerySet[Job]:
        return queue_in_order()

    def prepare(self, page: list[Any]) -> list[Any]:
        return _with_reasons(page)


class QueuePriority(Endpoint):
    """The priority of a job that waits."""

    @extend_schema(request=QueueChange, responses={200: QueuedJob})
    def patch(self, request: Request, pk: int) -> Response:
        """Owners may lower it, administrators set it. 409 for a job that does not wait."""
        job = get_object_or_404(Job, pk=pk)
        require(may_change(request.user, job.owner_id), "change this priority")
        set_priority(request, job, self.validated(QueueChange).get("priority", job.priority))
        return Response(_queued(pk))


class QueueMove(AdministratorEndpoint):
    """The place of a job that waits."""

    to_do = "change the order of the queue"

    @extend_schema(
        request=None,
        responses={200: QueuedJob},
        parameters=[OpenApiParameter("direction", str, OpenApiParameter.PATH, enum=DIRECTIONS)],
    )
    def post(self, request: Request, pk: int, direction: str) -> Response:
        """Move it: first, up, down, last. 409 for a job that does not wait."""
        job = get_object_or_404(Job, pk=pk)
        if direction not in DIRECTIONS:
            raise Http404(f"There is no move “{direction}”. Known moves: {', '.join(DIRECTIONS)}.")
        job_move(job, DIRECTIONS[DIRECTIONS.index(direction)], actor=signed_in_user(request).get_username())
        return Response(_queued(pk))


def _with_reasons(jobs: list[Any]) -> list[Any]:
    reasons = wait_reasons(jobs)
    for job in jobs:
        job.reason = reasons.get(job.pk, "")
    return jobs


def _queued(pk: int) -> Any:
    (job,) = _with_reasons([get_object_or_404(Job.objects.select_related("owner", "run"), pk=pk)])
    return QueuedJob(job).data
