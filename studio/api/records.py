"""What a run records: series, samples, checkpoints, figures, its log."""

from __future__ import annotations

import re
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.gzip import gzip_page
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from studio.api.endpoint import AnyAccept, Endpoint, ListEndpoint, PageQuery
from studio.api.runs import run_of
from studio.common.files import file_response
from studio.jobs.models import JobTransition
from studio.runs.charts import bucketed_series
from studio.runs.models import Checkpoint, Evaluation, SampleGrid
from studio.runs.run_files import run_file

MOST_SERIES = 20


NAMES = r"^ *[a-z0-9_]{1,40} *(, *[a-z0-9_]{1,40} *){0,19}$"


@extend_schema_field(
    {
        "type": "string",
        "pattern": NAMES,
        "maxLength": 1000,
        "description": f"Up to {MOST_SERIES} names, separated by commas.",
        "example": "student_loss,denoiser_loss",
    }
)
class NamesField(serializers.CharField):
    """Names separated by commas, as a list."""

    def to_internal_value(self, data: Any) -> Any:
        text = super().to_internal_value(data)
        if not re.fullmatch(NAMES, text):
            raise serializers.ValidationError(f"Name between 1 and {MOST_SERIES} series, separated by commas.")
        return [name.strip() for name in text.split(",")]


class MetricsQuery(serializers.Serializer[dict[str, object]]):
    """Which series, how many buckets, and between which steps."""

    series = NamesField(max_length=1000)
    width = serializers.IntegerField(min_value=1, max_value=5000, default=600, help_text="Most buckets a series.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Python keeps the word `from` to itself, so it cannot be declared above."""
        first = serializers.IntegerField(min_value=0, required=False, source="first", help_text="First step.")
        last = serializers.IntegerField(min_value=0, required=False, source="last", help_text="Last step.")
        return {**super().get_fields(), "from": first, "to": last}


class Buckets(serializers.Serializer[Any]):
    """Parallel lists: first step of each bucket; least, greatest and mean value in it. `last` is the newest value."""

    step = serializers.ListField(child=serializers.IntegerField())
    min = serializers.ListField(child=serializers.FloatField())
    max = serializers.ListField(child=serializers.FloatField())
    mean = serializers.ListField(child=serializers.FloatField())
    last = serializers.FloatField(allow_null=True)


class MetricsAnswer(serializers.Serializer[Any]):
    """Series in buckets, complete up to event number `seq`."""

    seq = serializers.IntegerField()
    attempt = serializers.IntegerField()
    series = serializers.DictField(child=Buckets())


@method_decorator(gzip_page, name="dispatch")
class RunMetrics(Endpoint):
    """GET: a run's series in min/max buckets, and the event number up to which they are complete."""

    query_class = MetricsQuery
    serializer_class = MetricsAnswer

    def get(self, request: Request, pk: int) -> Response:
        job, asked = run_of(pk).job, self.asked
        # Number and step were read together: what is stored meanwhile comes by the socket, not twice.
        series = bucketed_series(
            pk,
            asked["series"],
            width=asked["width"],
            first=asked.get("first"),
            last=min(asked.get("last", job.step), job.step),
        )
        return Response({"seq": job.event_seq, "attempt": job.attempt, "series": series})


class OfRun(ListEndpoint):
    """Rows that one run recorded and that still count."""

    model: type[SampleGrid] | type[Checkpoint] | type[Evaluation]

    def rows(self) -> QuerySet[Any]:
        source = {"source": self.asked["source"]} if "source" in self.asked else {}
        manager: Any = self.model._default_manager
        rows: QuerySet[Any] = manager.filter(run_id=run_of(self.kwargs["pk"]).pk, superseded=False, **source)
        return rows.order_by("step", "pk")


class SourceQuery(PageQuery):
    source = serializers.ChoiceField(choices=["student", "teacher"], required=False)  # type: ignore[assignment]


class SampleRow(serializers.ModelSerializer[SampleGrid]):
    """A grid of samples from the run's fixed latents."""

    url = serializers.SerializerMethodField(help_text="The PNG.")

    class Meta:
        model = SampleGrid
        fields = ("id", "attempt", "step", "source", "count", "columns", "nfe", "url")

    def get_url(self, row: SampleGrid) -> str:
        return reverse("api:sample", args=(row.run_id, row.pk))


class CheckpointRow(serializers.ModelSerializer[Checkpoint]):
    """A training state: safetensors with the student, its average, ψ and the optimisers."""

    url = serializers.SerializerMethodField(help_text="The file; ranges are served.")

    class Meta:
        model = Checkpoint
        fields = ("id", "attempt", "step", "size", "sha256", "url")

    def get_url(self, row: Checkpoint) -> str:
        return reverse("api:checkpoint", args=(row.run_id, row.pk))


class EvaluationRow(serializers.ModelSerializer[Evaluation]):
    """Figures measured during the run."""

    values = serializers.DictField(child=serializers.FloatField(), help_text="As in {frechet: 2.06, accuracy: 0.98}.")

    class Meta:
        model = Evaluation
        fields = ("id", "attempt", "step", "source", "values", "samples", "nfe")


class RunSamples(OfRun):
    """Sample grids, by step."""

    query_class, model, serializer_class = SourceQuery, SampleGrid, SampleRow


class RunCheckpoints(OfRun):
    """Checkpoints, by step; those that were removed to save space are left out."""

    model, serializer_class = Checkpoint, CheckpointRow

    def rows(self) -> QuerySet[Any]:
        return super().rows().filter(removed=False)


class RunEvaluations(OfRun):
    """Fréchet distance and the like, of student and teacher, by step."""

    query_class, model, serializer_class = SourceQuery, Evaluation, EvaluationRow


class MoveRow(serializers.ModelSerializer[JobTransition]):
    """A change of a run's state."""

    from_state = serializers.CharField(help_text="Empty: it was made.")

    class Meta:
        model = JobTransition
        fields = ("id", "at", "from_state", "to_state", "actor", "reason")


class RunHistory(ListEndpoint):
    """Every change of the run's state, in order: when, by whom, why."""

    serializer_class = MoveRow

    def rows(self) -> QuerySet[JobTransition]:
        return JobTransition.objects.filter(job_id=run_of(self.kwargs["pk"]).pk).order_by("pk")


class File(Endpoint):
    """Bytes of a fixed kind."""

    is_file = True
    content_negotiation_class = AnyAccept


class SampleFile(File):
    """The PNG of one grid."""

    @extend_schema(responses={(200, "image/png"): OpenApiTypes.BINARY})
    def get(self, request: Request, pk: int, sample_id: int) -> HttpResponse:
        path = run_file(pk, get_object_or_404(SampleGrid, run_id=pk, pk=sample_id).path)
        headers = {"Cache-Control": "private, max-age=31536000, immutable"}
        return HttpResponse(path.read_bytes(), content_type="image/png", headers=headers)


class CheckpointFile(File):
    """The file of one checkpoint, whole or in part."""

    @extend_schema(
        parameters=[
            OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="As in bytes=1000-1999."),
            OpenApiParameter("If-Range", str, OpenApiParameter.HEADER, description="The ETag of the first part."),
        ],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            416: None,
        },
    )
    def get(self, request: Request, pk: int, checkpoint_id: int) -> HttpResponseBase:
        row = get_object_or_404(Checkpoint, run_id=pk, pk=checkpoint_id)
        if row.removed:
            raise Http404("This checkpoint was removed to save space: the run keeps others, as its schedule says.")
        name = f"run-{pk}-step-{row.step}.safetensors"
        return file_response(request._request, run_file(pk, row.path), name=name, etag=row.sha256)
