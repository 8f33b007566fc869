"""Runs over REST."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from django.utils.decorators import method_decorator
from django.views.decorators.gzip import gzip_page
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from studio.runs.charts import bucketed_series
from studio.runs.models import Run

MOST_SERIES = 20


class MetricsQuery(serializers.Serializer[dict[str, object]]):
    """Which series, how many buckets, and between which steps."""

    series = serializers.CharField(max_length=1000, help_text="Names, separated by commas.")
    width = serializers.IntegerField(min_value=1, max_value=5000, default=600, help_text="Most buckets a series.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Python keeps the word `from` to itself, so it cannot be declared above."""
        first = serializers.IntegerField(min_value=0, required=False, source="first")
        last = serializers.IntegerField(min_value=0, required=False, source="last")
        return {**super().get_fields(), "from": first, "to": last}

    def validate_series(self, value: str) -> list[str]:
        names = [name.strip() for name in value.split(",") if name.strip()]
        if not 1 <= len(names) <= MOST_SERIES:
            raise serializers.ValidationError(f"Name between 1 and {MOST_SERIES} series.")
        return names


@method_decorator(gzip_page, name="dispatch")
class RunMetrics(APIView):
    """GET: a run's series in min/max buckets, and the event number up to which they are complete."""

    def get(self, request: Request, pk: int) -> Response:
        run = get_object_or_404(Run.objects.select_related("job"), pk=pk)
        query = MetricsQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        names = query.validated_data.pop("series")
        job, asked = run.job, query.validated_data
        # Number and step were read together: what is stored meanwhile comes by the socket, not twice.
        series = bucketed_series(
            pk,
            names,
            width=asked["width"],
            first=asked.get("first"),
            last=min(asked.get("last", job.step), job.step),
        )
        return Response({"seq": job.event_seq, "attempt": job.attempt, "series": series})
