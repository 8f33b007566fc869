"""Series for charts, as buckets that keep every extreme exact whatever the range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from django.db.models import Avg, F, Max, Min

from studio.runs.models import Metric


class Series(TypedDict):
    """Parallel lists: first step of each bucket, and the least, greatest and mean value in it."""

    step: list[int]
    min: list[float]
    max: list[float]
    mean: list[float]


def bucketed_series(
    run_id: int, names: Sequence[str], *, width: int, first: int | None = None, last: int | None = None
) -> dict[str, Series]:
    """At most `width` buckets for each named series between the steps `first` and `last`, both included.

    Where there are no more steps than buckets, each bucket is one point.
    """
    points = Metric.objects.filter(run_id=run_id, superseded=False, name__in=names)
    bounds = points.aggregate(first=Min("step"), last=Max("step"))
    low = bounds["first"] or 0 if first is None else first
    high = bounds["last"] or 0 if last is None else last
    span = max(high - low + 1, 1)
    buckets = min(width, span)
    rows = (
        points.filter(step__gte=low, step__lte=high)
        .annotate(bucket=(F("step") - low) * buckets / span)
        .values("name", "bucket")
        .annotate(first=Min("step"), least=Min("value"), greatest=Max("value"), mean=Avg("value"))
        .order_by("name", "bucket")
    )
    series: dict[str, Series] = {name: {"step": [], "min": [], "max": [], "mean": []} for name in names}
    for row in rows:
        columns = series[row["name"]]
        columns["step"].append(row["first"])
        columns["min"].append(row["least"])
        columns["max"].append(row["greatest"])
        columns["mean"].append(row["mean"])
    return series


SPARK_WIDTH, SPARK_HEIGHT, SPARK_POINTS = 100, 24, 50


def sparklines(totals: dict[int, int], name: str) -> dict[int, str]:
    """For each run id (with its total steps): the series as points of an SVG polyline, 100 × 24."""
    if not totals:
        return {}
    step_width = max(1, max(totals.values()) // SPARK_POINTS)
    rows = (
        Metric.objects.filter(run_id__in=totals, name=name, superseded=False)
        .annotate(bucket=F("step") / step_width)
        .values("run_id", "bucket")
        .annotate(mean=Avg("value"), at=Avg("step"))
        .order_by("run_id", "bucket")
    )
    points: dict[int, list[tuple[float, float]]] = {}
    for row in rows:
        points.setdefault(row["run_id"], []).append((row["at"] / totals[row["run_id"]], row["mean"]))
    return {run_id: _polyline(line) for run_id, line in points.items()}


def _polyline(points: list[tuple[float, float]]) -> str:
    if len(points) < 2:
        return ""
    low, high = min(value for _, value in points), max(value for _, value in points)
    scale = (SPARK_HEIGHT - 2) / ((high - low) or 1)
    return " ".join(f"{x * SPARK_WIDTH:.1f},{SPARK_HEIGHT - 1 - (value - low) * scale:.1f}" for x, value in points)
