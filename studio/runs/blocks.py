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
        _roll_up_from(run, run.rolled_up)
        run.rolled_up += LARGEST
        run.save(update_fields=["rolled_up"])


def unroll(run: Run, step: int) -> None:
    """Forget the blocks that reach to `step` or beyond: their points are no longer what they were."""
    if step >= run.rolled_up:
        return
    run.rolled_up = step - step % LARGEST
    run.save(update_fields=["rolled_up"])
    MetricBlock.objects.filter(run=run, start__gte=run.rolled_up).delete()


def _roll_up_from(run: Run, start: int) -> None:
    # With the names the database goes to these steps at once; without them it would read the whole run.
    points = Metric.objects.filter(run=run, superseded=False, name__in=run.series)
    rows = (
        points.filter(step__gte=start, step__lt=start + LARGEST)
        .annotate(start=F("step") / SIZES[0] * SIZES[0])
        .values("name", "start")
        .annotate(first=Min("step"), least=Min("value"), greatest=Max("value"), total=Sum("value"), count=Count("pk"))
    )
    blocks = [MetricBlock(run=run, size=SIZES[0], **row) for row in rows]
    for size in SIZES[1:]:
        blocks += _joined([block for block in blocks if block.size == SIZES[0]], size)
    MetricBlock.objects.bulk_create(blocks, batch_size=1000)


def _joined(parts: list[MetricBlock], size: int) -> list[MetricBlock]:
    """Larger blocks from smaller ones."""
    whole: dict[tuple[str, int], list[MetricBlock]] = {}
    for part in parts:
        whole.setdefault((part.name, part.start - part.start % size), []).append(part)
    return [
        MetricBlock(
            run=inside[0].run,
            name=name,
            size=size,
            start=start,
            first=min(part.first for part in inside),
            least=min(part.least for part in inside),
            greatest=max(part.greatest for part in inside),
            total=sum(part.total for part in inside),
            count=sum(part.count for part in inside),
        )
        for (name, start), inside in whole.items()
    ]
