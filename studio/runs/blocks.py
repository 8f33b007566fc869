"""Blocks of 16, 256 and 4,096 steps with their extremes, so that a chart of a million points reads a few thousand rows.

A block is made once, when its steps are over, and never changes; what a resumed attempt records anew loses its blocks.
"""

from __future__ import annotations

from django.db.models import Count, F, Max, Min, Sum

from studio.runs.models import Metric, MetricBlock, Run

SIZES = (16, 256, 4096)
LARGEST = SIZES[-1]


def roll_up(run: Run, step: int) -> None:
    """Make the blocks of all steps before `step`, as far as whole blocks of the largest size go."""
    end = step - step % LARGEST
    while run.rolled_up < end:
        _roll_up_from(run.pk, run.rolled_up)
        run.rolled_up += LARGEST
        run.save(update_fields=["rolled_up"])


def unroll(run: Run, step: int) -> None:
    """Forget the blocks that reach to `step` or beyond: their points are no longer what they were."""
    if step >= run.rolled_up:
        return
    run.rolled_up = step - step % LARGEST
    run.save(update_fields=["rolled_up"])
    MetricBlock.objects.filter(run=run, start__gte=run.rolled_up).delete()


def _roll_up_from(run_id: int, start: int) -> None:
    points = Metric.objects.filter(run_id=run_id, superseded=False, step__gte=start, step__lt=start + LARGEST)
    for size in SIZES:
        rows = (
            points.annotate(start=F("step") / size * size)
            .values("name", "start")
            .annotate(
                first=Min("step"), least=Min("value"), greatest=Max("value"), total=Sum("value"), count=Count("pk")
            )
        )
        MetricBlock.objects.bulk_create([MetricBlock(run_id=run_id, size=size, **row) for row in rows], batch_size=1000)
