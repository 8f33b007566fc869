"""Runs side by side."""

from __future__ import annotations

import re
from typing import Any

from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from studio.api.endpoint import Endpoint
from studio.api.problems import MEDIA_TYPE, Unprocessable
from studio.api.runs import RunSummary
from studio.api.schema import Problem
from studio.runs.comparison import MOST_RUNS, comparison, find_runs, read_ids
from studio.runs.services import RunRefused

NUMBERS = r"^[0-9]{1,18}(,[0-9]{1,18}){1,7}$"


@extend_schema_field(
    {
        "type": "string",
        "pattern": NUMBERS,
        "description": f"Two to {MOST_RUNS} runs' numbers, separated by commas.",
        "example": "1,2",
    }
)
class NumbersField(serializers.CharField):
    """Numbers separated by commas, each once."""

    def to_internal_value(self, data: Any) -> Any:
        text = super().to_internal_value(data)
        if not re.fullmatch(NUMBERS, text, re.ASCII):
            raise serializers.ValidationError(f"Name two to {MOST_RUNS} runs' numbers, as in 1,2.")
        return read_ids([text])


class CompareQuery(serializers.Serializer[dict[str, object]]):
    runs = NumbersField()


class Difference(serializers.Serializer[Any]):
    """A setting that is not the same in all runs."""

    path = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    unit = serializers.CharField()
    values = serializers.ListField(child=serializers.CharField(), help_text="Each run's, as people read it.")


class OtherFigure(serializers.Serializer[Any]):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    value = serializers.CharField(help_text="As people read it.")


class ComparedRun(RunSummary):
    """A run, and what its evaluations come to."""

    best = serializers.CharField(help_text="The least value of its headline figure; empty: none was measured.")
    best_step = serializers.IntegerField(allow_null=True)
    others = OtherFigure(many=True, help_text="The newest values of its other figures.")


class ComparedGrid(serializers.Serializer[Any]):
    """A grid of samples; all runs draw theirs from latents of their own seed."""

    step = serializers.IntegerField()
    count = serializers.IntegerField()
    columns = serializers.IntegerField()
    url = serializers.CharField(help_text="The PNG.")


class ComparisonAnswer(serializers.Serializer[Any]):
    """Runs in the order asked for. Their curves: `runs/<id>/metrics`."""

    runs = ComparedRun(many=True)
    differences = Difference(many=True)
    samples = serializers.DictField(child=ComparedGrid(many=True), help_text="By the run's number, by step.")


class Compare(Endpoint):
    """Two to eight runs: rows, differing settings, figures, samples."""

    query_class, serializer_class = CompareQuery, ComparisonAnswer

    @extend_schema(
        responses={
            200: ComparisonAnswer,
            (422, MEDIA_TYPE): OpenApiResponse(Problem, description="One of them is not there, or they are one."),
        }
    )
    def get(self, request: Request) -> Response:
        try:
            runs = find_runs(self.asked["runs"])
        except RunRefused as refusal:
            raise Unprocessable({"runs": str(refusal)}) from None
        told = comparison(runs)
        body = {
            "runs": [{**vars(row), **figures, "others": _others(figures["others"])} for row, figures in told["rows"]],
            "differences": told["differences"],
            "samples": {run: [_grid(run, grid) for grid in grids] for run, grids in told["grids"].items()},
        }
        return Response(ComparisonAnswer(body).data)


def _others(figures: list[Any]) -> list[dict[str, str]]:
    return [{"name": figure.name, "label": figure.label, "value": value} for figure, value in figures]


def _grid(run: str, grid: dict[str, Any]) -> dict[str, Any]:
    return grid | {"url": reverse("api:sample", args=(int(run), grid["id"]))}
