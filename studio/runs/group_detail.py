"""What the page of a group shows: its grid of final figures, and its curves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from simcore.figures import Figure, figures_of
from studio.runs.groups import still_going
from studio.runs.headline import headline_of
from studio.runs.models import Evaluation, Run, RunGroup
from studio.runs.rows import RunRow, run_rows


@dataclass
class Cell:
    """The runs of one cell, one a seed, and what they come to."""

    name: str
    headline: Figure
    runs: list[RunRow] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    best: bool = False

    @property
    def mean(self) -> float | None:
        """Of the final headline figures of the runs that have succeeded."""
        return fmean(self.values) if self.values else None

    @property
    def mean_text(self) -> str:
        """As people read it; empty where there is none."""
        return "" if self.mean is None else self.headline.show(self.mean)

    @property
    def spread_text(self) -> str:
        """Their standard deviation."""
        return self.headline.show(stdev(self.values)) if len(self.values) > 1 else ""


def group_detail(group: RunGroup) -> dict[str, Any]:
    """The context of `runs/group.html`."""
    runs = list(
        group.runs.select_related("job__owner", "teacher", "dataset", "group").prefetch_related("tags").order_by("pk")
    )
    headline = headline_of(runs[0]) if runs else figures_of("")[0]
    evaluations = _evaluations([run.pk for run in runs], headline)
    cells = _cells(group, runs, evaluations, headline)
    return {
        "group": group,
        "headline": headline,
        "curves_title": f"{headline.label} by cell, mean over seeds",
        "cells": cells,
        "grid": _grid(group, cells),
        "rows": run_rows(runs),
        "going": sum(still_going(run.job.state) for run in runs),
        "curves": _curves(group, runs, evaluations),
    }


def _evaluations(ids: Sequence[int], headline: Figure) -> dict[int, list[tuple[int, float]]]:
    """For each run the steps and headline figures of its student."""
    found: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for row in Evaluation.objects.filter(run_id__in=ids, superseded=False, source="student").order_by("step", "pk"):
        if headline.name in row.values:
            found[row.run_id].append((row.step, row.values[headline.name]))
    return found


def _cells(
    group: RunGroup, runs: Sequence[Run], evaluations: dict[int, list[tuple[int, float]]], headline: Figure
) -> list[Cell]:
    cells = {name: Cell(name, headline) for name in group.cells}
    for run, row in zip(runs, run_rows(runs), strict=True):
        cell = cells.setdefault(run.cell, Cell(run.cell, headline))
        cell.runs.append(row)
        if run.job.state == "succeeded" and evaluations[run.pk]:
            cell.values.append(evaluations[run.pk][-1][1])
    measured = [cell for cell in cells.values() if cell.mean is not None]
    if len(measured) > 1:
        min(measured, key=lambda cell: cell.mean or 0.0).best = True
    return list(cells.values())


def _grid(group: RunGroup, cells: Sequence[Cell]) -> dict[str, Any] | None:
    """Rows and columns, where the group has two axes; the cells are in the order of their product."""
    if len(group.axes) != 2:
        return None
    down, across = group.axes
    width = len(across["values"])
    rows = [(value, cells[i * width : (i + 1) * width]) for i, value in enumerate(down["values"])]
    return {"down": down, "across": across, "rows": rows}


def _curves(
    group: RunGroup, runs: Sequence[Run], evaluations: dict[int, list[tuple[int, float]]]
) -> dict[str, dict[str, list[float]]]:
    """The headline figure against the step for each cell: mean, least and greatest over its seeds."""
    points: dict[str, dict[int, list[float]]] = {name: defaultdict(list) for name in group.cells}
    for run in runs:
        for step, value in evaluations[run.pk]:
            points.setdefault(run.cell, defaultdict(list))[step].append(value)
    return {name: _curve(by_step) for name, by_step in points.items()}


def _curve(by_step: dict[int, list[float]]) -> dict[str, list[float]]:
    steps = sorted(by_step)
    return {
        "step": [float(step) for step in steps],
        "min": [min(by_step[step]) for step in steps],
        "max": [max(by_step[step]) for step in steps],
        "mean": [fmean(by_step[step]) for step in steps],
    }
