"""What is taken away from a run as a file, and its log."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from studio.api.endpoint import Endpoint
from studio.api.fields import Text
from studio.api.records import File
from studio.api.runs import run_of
from studio.common.files import streamed_response
from studio.runs.exports import CSV_TYPE, TENSORBOARD_TYPE, csv_rows, tensorboard_name, tensorboard_records
from studio.runs.log_search import search_log
from studio.runs.logs import log_lines


class LogFile(File):
    """The whole log as text."""

    @extend_schema(responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        parts = (line.encode() for line in log_lines(run_of(pk)))
        return streamed_response(parts, "text/plain; charset=utf-8", name=f"run-{pk}.log")


class MetricsCsv(File):
    """Every point of every series: step, series, value, attempt."""

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        return streamed_response(csv_rows(run_of(pk)), CSV_TYPE, name=f"run-{pk}-metrics.csv")


class MetricsTensorboard(File):
    """The same as TensorBoard's event file."""

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        return streamed_response(tensorboard_records(run_of(pk)), TENSORBOARD_TYPE, name=tensorboard_name(pk))


class LogQuery(serializers.Serializer[dict[str, object]]):
    q = Text(max_length=200, help_text="Words to find, whatever their case.")


class FoundLine(serializers.Serializer[Any]):
    """A line, counted from 1."""

    number = serializers.IntegerField()
    text = serializers.CharField()
    hit = serializers.BooleanField(help_text="It holds the words; otherwise it stands near one that does.")


class LogAnswer(serializers.Serializer[Any]):
    """Passages of the log."""

    total = serializers.IntegerField(help_text="How many lines hold the words.")
    shown = serializers.IntegerField(help_text="How many of them are in the passages.")
    passages = serializers.ListField(child=serializers.ListField(child=FoundLine()))


class LogSearch(Endpoint):
    """The passages of the log that hold some words, with two lines around them."""

    query_class, serializer_class = LogQuery, LogAnswer

    def get(self, request: Request, pk: int) -> Response:
        return Response(LogAnswer(search_log(run_of(pk), self.asked["q"])).data)
