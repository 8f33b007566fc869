from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio.jobs.models import Job
from studio.runs.charts import SPARK_HEIGHT, SPARK_POINTS, SPARK_WIDTH, bucketed_series, sparklines
from studio.runs.models import Metric

values = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3))
curves = st.dictionaries(st.integers(0, 5_000), values, min_size=1, max_size=80)
widths = st.integers(1, 1_000)


def draw(run: Any, curve: dict[int, float], name: str = "student_loss", **fields: Any) -> None:
    Metric.objects.bulk_create(
        Metric(run_id=run.pk, attempt=1, step=step, name=name, value=value, **fields) for step, value in curve.items()
    )


@pytest.fixture
def drawn(run: Any) -> Any:
    """Draw a curve for one example, and take it back."""

    def within(curve: dict[int, float], check: Any) -> None:
        with transaction.atomic():
            draw(run, curve)
            check()
            transaction.set_rollback(True)

    return within


def expected(curve: dict[int, float], width: int, low: int, high: int) -> list[tuple[int, float, float, float]]:
    """The same buckets by numpy: equal shares of the steps low … high."""
    steps = np.array(sorted(step for step in curve if low <= step <= high), dtype=np.int64)
    heights = np.array([curve[int(step)] for step in steps])
    span = high - low + 1
    buckets = (steps - low) * min(width, span) // span
    return [
        (int(steps[inside].min()), heights[inside].min(), heights[inside].max(), heights[inside].mean())
        for inside in (buckets == bucket for bucket in np.unique(buckets))
    ]


def agree(series: Any, wanted: list[tuple[int, float, float, float]]) -> None:
    assert series["step"] == [step for step, *_ in wanted]
    assert series["min"] == [low for _, low, _, _ in wanted]
    assert series["max"] == [high for _, _, high, _ in wanted]
    assert series["mean"] == pytest.approx([mean for *_, mean in wanted], rel=1e-9, abs=1e-6)


random_curves = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@random_curves
@given(curve=curves, width=widths)
def test_buckets_are_numpys(drawn: Any, run: Any, curve: dict[int, float], width: int) -> None:
    def check() -> None:
        series = bucketed_series(run.pk, ["student_loss"], width=width)["student_loss"]
        agree(series, expected(curve, width, min(curve), max(curve)))
        assert len(series["step"]) <= width

    drawn(curve, check)


@random_curves
@given(curve=curves, width=widths, ends=st.tuples(st.integers(0, 5_000), st.integers(0, 5_000)))
def test_buckets_of_a_range_are_numpys(
    drawn: Any, run: Any, curve: dict[int, float], width: int, ends: tuple[int, int]
) -> None:
    low, high = sorted(ends)

    def check() -> None:
        series = bucketed_series(run.pk, ["student_loss"], width=width, first=low, last=high)["student_loss"]
        agree(series, expected(curve, width, low, high))

    drawn(curve, check)


@pytest.mark.parametrize("width", [1, 2, 3, 7, 100, 999, 1_000, 5_000])
def test_a_spike_of_one_step_stays_at_every_width(run: Any, width: int) -> None:
    draw(run, dict.fromkeys(range(1000), 1.0) | {617: 1_000.0})
    series = bucketed_series(run.pk, ["student_loss"], width=width)["student_loss"]
    assert max(series["max"]) == 1_000.0
    assert series["max"].count(1_000.0) == 1


def test_where_there_is_room_each_bucket_is_one_point(run: Any) -> None:
    draw(run, {1: 3.0, 2: 2.0, 3: 1.0})
    series = bucketed_series(run.pk, ["student_loss"], width=600)["student_loss"]
    ones = [3.0, 2.0, 1.0]
    assert series == {"step": [1, 2, 3], "min": ones, "max": ones, "mean": ones, "last": 1.0}


def test_a_series_without_points_is_empty(run: Any) -> None:
    nothing = {"step": [], "min": [], "max": [], "mean": [], "last": None}
    assert bucketed_series(run.pk, ["student_loss"], width=10) == {"student_loss": nothing}
    draw(run, {1: 1.0})
    series = bucketed_series(run.pk, ["student_loss", "no_such_series"], width=10)
    assert series["no_such_series"] == nothing
    assert bucketed_series(run.pk, ["student_loss"], width=10, first=5, last=2)["student_loss"] == nothing


def test_series_are_kept_apart_and_superseded_points_left_out(run: Any) -> None:
    draw(run, {1: 1.0, 2: 2.0})
    draw(run, {2: 20.0}, name="denoiser_loss")
    draw(run, {1: 99.0}, superseded=True)
    series = bucketed_series(run.pk, ["student_loss", "denoiser_loss"], width=10)
    assert series["student_loss"]["mean"] == [1.0, 2.0]
    assert series["denoiser_loss"]["mean"] == [20.0]


def test_a_sparkline_fills_its_box_and_ends_where_the_run_is(run: Any) -> None:
    Job.objects.filter(pk=run.pk).update(total_steps=1_000)
    draw(run, {step: math.exp(-step / 100) for step in range(1, 501)})
    line = sparklines({run.pk: 1_000}, "student_loss")[run.pk]
    points = [tuple(map(float, point.split(","))) for point in line.split()]
    across, down = [x for x, _ in points], [y for _, y in points]
    assert len(points) <= SPARK_POINTS + 1
    assert across == sorted(across)
    assert across[-1] == pytest.approx(SPARK_WIDTH / 2, abs=1.0)  # half of 1,000 steps are done
    assert (min(down), max(down)) == (1.0, SPARK_HEIGHT - 1.0)
    assert down == sorted(down)  # a falling loss falls on the screen, where y counts downwards


def test_a_sparkline_needs_two_points(run: Any) -> None:
    assert sparklines({}, "student_loss") == {}
    draw(run, {1: 1.0})
    assert sparklines({run.pk: 100}, "student_loss") == {run.pk: ""}


def test_a_level_sparkline_is_a_level_line(run: Any) -> None:
    draw(run, {1: 0.5, 50: 0.5, 100: 0.5})
    line = sparklines({run.pk: 100}, "student_loss")[run.pk]
    assert {point.split(",")[1] for point in line.split()} == {f"{SPARK_HEIGHT - 1:.1f}"}
