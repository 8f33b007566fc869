"""The part of `charts.py` that runs inside the studio's Django."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

from django.db import connection

from studio.runs import charts
from studio.runs.blocks import roll_up
from studio.runs.models import Run
from tests.bench.charts import SERIES, SPIKE, WIDTH
from tests.launch import launch

# Values without a pattern that buckets could meet; the database makes them, in seconds.
FILL = """
    WITH RECURSIVE n(step) AS (SELECT 0 UNION ALL SELECT step + 1 FROM n WHERE step < %s)
    INSERT INTO runs_metric (run_id, attempt, step, superseded, name, value)
    SELECT %s, 1, step, false, %s,
           CASE WHEN step = %s THEN %s ELSE 1.0 + ((CAST(step AS bigint) * 7919 + %s) %% 1009) / 7777.7 END FROM n
"""


def fill(points: int) -> None:
    """A run with that many iterations; prints its id, the step of the spike and the seconds that blocks took."""
    run = Run.objects.select_related("job").get(pk=launch({}))
    spike = points * 617 // 1000
    with connection.cursor() as cursor:
        for number, name in enumerate(SERIES):
            cursor.execute(FILL, [points - 1, run.pk, name, spike, SPIKE, number])
    run.series = list(SERIES)
    run.save()
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
