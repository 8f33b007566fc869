from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio.jobs.lifecycle import JobState
from studio.jobs.services import job_end
from studio.runs.blocks import LARGEST, SIZES, roll_up, unroll
from studio.runs.charts import bucketed_series, sparklines
from studio.runs.models import Metric, MetricBlock, Run
from tests.studio.builders import claim, metrics, record, started, token_of

LENGTH = 3 * LARGEST + 700


@pytest.fixture
def long_run(run: Any) -> tuple[Run, np.ndarray[Any, Any]]:
    """A run with a value at each step 0 … LENGTH − 1, rolled up as far as it goes."""
    values = np.random.default_rng(7).normal(size=LENGTH).cumsum()
    Metric.objects.bulk_create(
        Metric(run_id=run.pk, attempt=1, step=step, name="student_loss", value=value)
        for step, value in enumerate(values)
    )
    run.series = ["student_loss"]
    run.save()
    roll_up(run, LENGTH - 1)
    return run, values


def check_exact(series: Any, values: np.ndarray[Any, Any], low: int, high: int) -> None:
    """Each bucket's least, greatest and mean are numpy's over its steps; no step is left out."""
    ends = [*series["step"][1:], high + 1]
    assert series["step"][0] == low
    for begin, end, least, greatest, mean in zip(
        series["step"], ends, series["min"], series["max"], series["mean"], strict=True
    ):
        inside = values[begin:end]
        assert (least, greatest) == (inside.min(), inside.max())
        assert mean == pytest.approx(inside.mean(), rel=1e-9, abs=1e-9)


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ends=st.tuples(st.integers(0, LENGTH - 1), st.integers(0, LENGTH - 1)),
    width=st.integers(1, 1500),
    spike=st.integers(0, LENGTH - 1),
)
def test_whatever_the_range_and_width_buckets_are_exact_and_a_spike_is_seen(
    long_run: Any, ends: tuple[int, int], width: int, spike: int
) -> None:
    run, values = long_run
    low, high = sorted(ends)
    series = bucketed_series(run.pk, ["student_loss"], width=width, first=low, last=high)["student_loss"]
    assert len(series["step"]) <= width
    check_exact(series, values, low, high)
    with transaction.atomic():
        raised = values.copy()
        raised[spike] = 1e9
        Metric.objects.filter(run=run, step=spike).update(value=1e9)
        fresh = Run.objects.get(pk=run.pk)
        unroll(fresh, spike)
        roll_up(fresh, LENGTH - 1)
        whole = bucketed_series(run.pk, ["student_loss"], width=width)["student_loss"]
        assert whole["max"].count(1e9) == 1
        check_exact(whole, raised, 0, LENGTH - 1)
        transaction.set_rollback(True)


def test_the_newest_value_is_a_value_not_a_mean(long_run: Any) -> None:
    run, values = long_run
    series = bucketed_series(run.pk, ["student_loss", "nothing"], width=10)
    assert series["student_loss"]["last"] == values[-1]
    assert series["nothing"]["last"] is None
    assert bucketed_series(run.pk, ["student_loss"], width=10, last=5_000)["student_loss"]["last"] == values[5_000]


def test_blocks_follow_training_and_a_resumed_attempt_loses_those_it_records_anew(run: Any) -> None:
    job = claim()
    record(job, started(), *(metrics(step) for step in range(1, LARGEST + 11)))
    assert Run.objects.get(pk=run.pk).rolled_up == LARGEST
    assert {size: MetricBlock.objects.filter(size=size).count() for size in SIZES} == {16: 256, 256: 16, 4096: 1}
    job_end(job.pk, token_of(job), JobState.QUEUED, reason="its worker was stopped")
    again = claim()
    record(again, started(100), *(metrics(step, student_loss=-1.0) for step in range(101, 200)))
    assert Run.objects.get(pk=run.pk).rolled_up == 0
    assert not MetricBlock.objects.exists()
    series = bucketed_series(run.pk, ["student_loss"], width=4)["student_loss"]
    assert (min(series["min"]), max(series["max"])) == (-1.0, 100.0)
    record(again, *(metrics(step, student_loss=-2.0) for step in range(200, LARGEST + 2)))
    series = bucketed_series(run.pk, ["student_loss"], width=4)["student_loss"]
    assert (min(series["min"]), max(series["max"])) == (-2.0, 100.0)


def test_a_late_point_is_taken_into_blocks_made_before(run: Any) -> None:
    job = claim()
    record(job, started(), *(metrics(step) for step in range(1, LARGEST + 2)))
    record(job, metrics(5, frechet=2.5))
    record(job, metrics(LARGEST + 5))
    assert bucketed_series(run.pk, ["frechet"], width=3)["frechet"]["max"] == [2.5]
    block = MetricBlock.objects.get(name="frechet", size=LARGEST)
    assert (block.first, block.count, block.greatest) == (5, 1, 2.5)


def test_a_sparkline_shows_long_and_short_runs_to_their_end(long_run: Any) -> None:
    run, _ = long_run
    line = sparklines({run.pk: LENGTH}, "student_loss")[run.pk]
    across = [float(point.split(",")[0]) for point in line.split()]
    assert across == sorted(across)
    assert 40 <= len(across) <= 110
    assert across[0] < 3
    assert across[-1] > 97
