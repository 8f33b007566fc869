"""Series for charts, as buckets that keep every extreme exact whatever the range."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

from django.db.models import Avg, Count, F, Max, Min, Q, Sum

from studio.runs.blocks import LARGEST, SIZES
from studio.runs.models import Metric, MetricBlock, Run


class Series(TypedDict):
    """Parallel lists: first step of each bucket, and the least, greatest and mean value in it; the newest value."""

    step: list[int]
    min: list[float]
    max: list[float]
    mean: list[float]
    last: float | None


def bucketed_series(
    run_id: int, names: Sequence[str], *, width: int, first: int | None = None, last: int | None = None
) -> dict[str, Series]:
    """At most `width` buckets for each named series between the steps `first` and `last`, both included.

    Where there are no more steps than buckets, each bucket is one point. Where buckets are wide, they are put together
    from whole blocks: their edges are then multiples of the block's size, their extremes and means as exact.
    """
    rolled_up = Run.objects.filter(pk=run_id).values_list("rolled_up", flat=True).first() or 0
    low, high = _bounds(run_id, names, rolled_up)
    low, high = low if first is None else first, high if last is None else last
    span = max(high - low + 1, 1)
    buckets = min(width, span)
    size = max((size for size in SIZES if size <= span // buckets), default=0)
    start = -(-low // size) * size if size else high + 1
    end = max(start, min(high + 1, rolled_up) // size * size) if size else start
    points = Metric.objects.filter(run_id=run_id, superseded=False, name__in=names)
    rows = [
        *_of_points(points, low, min(start - 1, high), low, buckets, span),
        *_of_blocks(run_id, names, size, start, end, low, buckets, span),
        *_of_points(points, end, high, low, buckets, span),
    ]
    newest = _newest(run_id, names, low, high)
    series: dict[str, Series] = {
        name: {"step": [], "min": [], "max": [], "mean": [], "last": newest.get(name)} for name in names
    }
    for row in _merged(rows):
        columns = series[row["name"]]
        columns["step"].append(row["from_step"])
        columns["min"].append(row["least"])
        columns["max"].append(row["greatest"])
        columns["mean"].append(row["sum"] / row["number"])
    return series


def _bounds(run_id: int, names: Sequence[str], rolled_up: int) -> tuple[int, int]:
    """The first and the last step of the named series."""
    blocks = MetricBlock.objects.filter(run_id=run_id, size=LARGEST, name__in=names).aggregate(
        low=Min("first"), high=Max(F("start") + LARGEST - 1)
    )
    tail = Metric.objects.filter(run_id=run_id, superseded=False, name__in=names, step__gte=rolled_up).aggregate(
        low=Min("step"), high=Max("step")
    )
    lows = [end["low"] for end in (blocks, tail) if end["low"] is not None]
    highs = [end["high"] for end in (blocks, tail) if end["high"] is not None]
    return min(lows, default=0), max(highs, default=0)


def _of_points(points: Any, first: int, last: int, low: int, buckets: int, span: int) -> Iterator[dict[str, Any]]:
    """Each bound is said once: with two lower ones SQLite goes through the index from the wrong one."""
    if first <= last:
        yield from (
            points.filter(step__gte=first, step__lte=last)
            .annotate(bucket=(F("step") - low) * buckets / span)
            .values("name", "bucket")
            .annotate(
                from_step=Min("step"), least=Min("value"), greatest=Max("value"), sum=Sum("value"), number=Count("pk")
            )
            .order_by("name", "bucket")
        )


def _of_blocks(
    run_id: int, names: Sequence[str], size: int, start: int, end: int, low: int, buckets: int, span: int
) -> Iterator[dict[str, Any]]:
    if start >= end:
        return
    rows = (
        MetricBlock.objects.filter(run_id=run_id, size=size, name__in=names, start__gte=start, start__lt=end)
        .annotate(bucket=(F("start") - low) * buckets / span)
        .values("name", "bucket")
        .annotate(
            from_step=Min("first"), lowest=Min("least"), highest=Max("greatest"), sum=Sum("total"), number=Sum("count")
        )
        .order_by("name", "bucket")
    )
    for row in rows:
        yield {**row, "least": row["lowest"], "greatest": row["highest"]}


def _merged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Where points and blocks meet, two rows may be of one bucket."""
    rows.sort(key=lambda row: (row["name"], row["from_step"]))
    merged: list[dict[str, Any]] = []
    for row in rows:
        last = merged[-1] if merged else None
        if last and (last["name"], last["bucket"]) == (row["name"], row["bucket"]):
            last["least"], last["greatest"] = min(last["least"], row["least"]), max(last["greatest"], row["greatest"])
            last["sum"], last["number"] = last["sum"] + row["sum"], last["number"] + row["number"]
        else:
            merged.append(dict(row))
    return merged


def _newest(run_id: int, names: Sequence[str], low: int, high: int) -> dict[str, float]:
    """The value of each series at its last step in the range."""
    steps = Metric.objects.filter(run_id=run_id, superseded=False, step__gte=low, step__lte=high)
    found = {}
    for name in names:  # each from the end of an index; one query for all would read every point
        value = steps.filter(name=name).order_by("-step").values_list("value", flat=True).first()
        if value is not None:
            found[name] = value
    return found


SPARK_WIDTH, SPARK_HEIGHT, SPARK_POINTS = 100, 24, 50


def sparklines(totals: dict[int, int], name: str) -> dict[int, str]:
    """For each run id (with its total steps): the series as points of an SVG polyline, 100 × 24."""
    if not totals:
        return {}
    points: dict[int, list[tuple[float, float]]] = {}
    for run_id, step, value in sorted([*_spark_blocks(totals, name), *_spark_points(totals, name)]):
        points.setdefault(run_id, []).append((step / totals[run_id], value))
    return {run_id: _polyline(line) for run_id, line in points.items()}


def _spark_points(totals: dict[int, int], name: str) -> Iterator[tuple[int, float, float]]:
    """What no block holds: at most one block's length a run, and some."""
    rows = (
        Metric.objects.filter(run_id__in=totals, name=name, superseded=False, step__gte=F("run__rolled_up"))
        .annotate(bucket=F("step") * SPARK_POINTS / (F("run__job__total_steps") + 1))
        .values("run_id", "bucket")
        .annotate(mean=Avg("value"), at=Avg("step"))
    )
    yield from ((row["run_id"], row["at"], row["mean"]) for row in rows)


def _spark_blocks(totals: dict[int, int], name: str) -> Iterator[tuple[int, float, float]]:
    sizes: dict[int, list[int]] = {}
    for run_id, total in totals.items():
        size = max((size for size in SIZES if size * SPARK_POINTS <= total), default=SIZES[0])
        sizes.setdefault(size, []).append(run_id)
    chosen = Q()
    for size, run_ids in sizes.items():
        chosen |= Q(size=size, run_id__in=run_ids)
    rows = (
        MetricBlock.objects.filter(chosen, name=name)
        .annotate(bucket=F("start") * SPARK_POINTS / (F("run__job__total_steps") + 1))
        .values("run_id", "bucket")
        .annotate(sum=Sum("total"), number=Sum("count"), at=Avg("start"))
    )
    yield from ((row["run_id"], row["at"], row["sum"] / row["number"]) for row in rows)


def _polyline(points: list[tuple[float, float]]) -> str:
    if len(points) < 2:
        return ""
    low, high = min(value for _, value in points), max(value for _, value in points)
    scale = (SPARK_HEIGHT - 2) / ((high - low) or 1)
    return " ".join(f"{x * SPARK_WIDTH:.1f},{SPARK_HEIGHT - 1 - (value - low) * scale:.1f}" for x, value in points)
