"""The part of `charts.py` that runs inside the studio's Django."""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable

from studio.runs import charts
from studio.runs.blocks import roll_up
from studio.runs.models import Metric, Run
from tests.bench.charts import SERIES, SPIKE, WIDTH
from tests.launch import launch

BATCH = 20_000


def fill(points: int) -> None:
    """A run with that many iterations; prints its id, the step of the spike and the seconds that blocks took."""
    run = Run.objects.select_related("job").get(pk=launch({}))
    spike = points * 617 // 1000
    noise = random.Random(0)
    for first in range(0, points, BATCH):
        Metric.objects.bulk_create(
            Metric(run=run, attempt=1, step=step, name=name, value=SPIKE if step == spike else noise.gauss(1.0, 0.1))
            for step in range(first, min(points, first + BATCH))
            for name in SERIES
        )
    started = time.monotonic()
    roll_up(run, points)
    run.job.step = run.job.total_steps = points
    run.job.save()
    print(json.dumps({"run": run.pk, "spike": spike, "blocks": time.monotonic() - started}))


def measure(run_id: int, points: int) -> None:
    """Prints the median time of a chart's query with blocks and without."""
    ranges = {"all": (0, points - 1), "a tenth": (points // 2, points // 2 + points // 10), "2,000": (5_000, 6_999)}
    for name, (first, last) in ranges.items():
        with_blocks = _median(
            lambda first=first, last=last: charts.bucketed_series(run_id, SERIES, width=WIDTH, first=first, last=last),
            5,
        )
        print(f"range {name}: {with_blocks:.0f} ms")
    sizes, charts.SIZES = charts.SIZES, ()
    points_alone = _median(lambda: charts.bucketed_series(run_id, SERIES, width=WIDTH), 1)
    charts.SIZES = sizes
    print(f"range all, from points alone: {points_alone:.0f} ms")


def _median(work: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken)
