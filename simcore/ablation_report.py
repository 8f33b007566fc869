"""What an ablation shows: CSV, Markdown and the ranking. Torch-free."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean

from simcore.ablation import Figures, Outcome
from simcore.config import RunSpec

CLAIM = "sim-nowgt-lognormal"  # the cell that the paper's Figure 2 finds lowest
_MEASURED = {"frechet": "frechet", "held-out": "frechet_heldout", "accuracy": "accuracy"}


@dataclass(frozen=True)
class Row:
    """One cell over its seeds: the Fréchet distances at the end, those of failed or unfinished seeds left out."""

    cell: str
    last: tuple[Figures, ...]
    failures: tuple[str, ...]
    unfinished: int

    @property
    def frechet(self) -> list[float]:
        return [figures.values["frechet"] for figures in self.last]

    @property
    def complete(self) -> bool:
        """Whether every seed reached the end: only then does the mean compare with other cells' means."""
        return not self.failures and not self.unfinished


def rank(outcomes: list[Outcome]) -> list[Row]:
    """The cells by their mean Fréchet distance at the end; those with failed or unfinished seeds come last."""
    cells: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        cells.setdefault(outcome.cell.name, []).append(outcome)
    rows = [_row(name, found) for name, found in cells.items()]
    return sorted(rows, key=lambda row: (not row.complete, mean(row.frechet) if row.last else float("inf")))


def _row(name: str, outcomes: list[Outcome]) -> Row:
    failures = tuple(f"seed {o.cell.spec.seed}: {o.failure}" for o in outcomes if o.failure)
    last = tuple(o.figures[-1] for o in outcomes if o.finished)
    return Row(name, last, failures, len(outcomes) - len(failures) - len(last))


def verdict(rows: list[Row]) -> str:
    """Whether the paper's claim, that SIM without weight at lognormal times is lowest, is seen here."""
    complete = [row for row in rows if row.complete]
    claimed = next((row for row in complete if row.cell == CLAIM), None)
    if claimed is None:
        return f"{CLAIM}, which the paper finds lowest, has not finished for every seed: nothing can be said yet."
    place, best = complete.index(claimed) + 1, complete[0]
    others = [row for row in rows if not row.complete]
    rest = f" ({len(others)} without a mean: {', '.join(row.cell for row in others)})" if others else ""
    if best is claimed:
        runner_up = f", ahead of {complete[1].cell} ({_spread(complete[1].frechet)})" if len(complete) > 1 else ""
        overlap = len(complete) > 1 and max(claimed.frechet) >= min(complete[1].frechet)
        told = "; their ranges over the seeds overlap" if overlap else ""
        return f"Agrees with the paper: {CLAIM} is lowest ({_spread(claimed.frechet)}){runner_up}{told}{rest}."
    overlap = min(claimed.frechet) <= max(best.frechet)
    told = "their ranges over the seeds overlap" if overlap else "their ranges over the seeds do not overlap"
    return (
        f"Does not agree with the paper: {best.cell} is lowest ({_spread(best.frechet)}); {CLAIM}, which the paper "
        f"finds lowest, is number {place} of {len(complete)} ({_spread(claimed.frechet)}); {told}{rest}."
    )


def csv_text(outcomes: list[Outcome], start: dict[str, Figures]) -> str:
    """One line for each evaluation: cell, seed, iteration, samples, frechet, held-out, accuracy, failure.

    Iteration 0 is every run's own start, measured once. The teacher stands in a line without seed and iteration.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["cell", "seed", "iteration", "samples", *_MEASURED, "failure"])
    if "teacher" in start:
        writer.writerow(["teacher", "", "", *_columns(start["teacher"]), ""])
    for outcome in outcomes:
        before = [start["student"]] if "student" in start else []
        key = [outcome.cell.name, outcome.cell.spec.seed]
        for figures in (*before, *outcome.figures):
            writer.writerow([*key, figures.iteration, *_columns(figures), ""])
        if outcome.failure:
            writer.writerow([*key, "", "", *("" for _ in _MEASURED), outcome.failure])
    return buffer.getvalue()


def _columns(figures: Figures) -> list[object]:
    return [figures.samples, *(figures.values.get(name, "") for name in _MEASURED.values())]


def markdown(base: RunSpec, seeds: int, outcomes: list[Outcome], start: dict[str, Figures]) -> str:
    """The table by rank, the Fréchet distance on the way, and the verdict."""
    rows, steps = rank(outcomes), sorted({f.iteration for o in outcomes for f in o.figures})
    lines = [
        "# Figure 2: objective × weight × times",
        "",
        f"Teacher {base.teacher}, {base.iterations} iterations of batch {base.batch_size}, {seeds} seed(s). Fréchet "
        f"distances of the moving average, mean over the seeds (lowest – highest); {base.evaluation.samples} samples "
        f"on the way, {base.evaluation.final_samples} at the start and the end. More samples read lower.",
        "",
        "| | cell | " + " | ".join(str(step) for step in steps) + " | held-out | accuracy |",
        "|---" * (4 + len(steps)) + "|",
    ]
    lines += [_markdown_row(place, row, outcomes, steps) for place, row in enumerate(rows, 1)]
    for name, shown in (("student", "every cell before training (iteration 0)"), ("teacher", "teacher")):
        if name in start:
            values = start[name].values
            lines.append(f"| | {shown} | {'| ' * (len(steps) - 1)}{_of(values['frechet'])} | {_end([start[name]])} |")
    lines += ["", verdict(rows)]
    lines += ["", *(f"* {row.cell}, {failure}" for row in rows for failure in row.failures)] if _failed(rows) else []
    return "\n".join(lines) + "\n"


def _failed(rows: Iterable[Row]) -> bool:
    return any(row.failures for row in rows)


def _markdown_row(place: int, row: Row, outcomes: list[Outcome], steps: list[int]) -> str:
    own = [outcome for outcome in outcomes if outcome.cell.name == row.cell]
    cells = []
    for step in steps:
        found = [f.values["frechet"] for o in own for f in o.figures if f.iteration == step]
        cells.append(_spread(found) if found else "–")
    if row.failures:
        cells[-1:] = [f"{cells[-1] if cells else ''} **{len(row.failures)} failed**"]
    if row.unfinished:
        cells[-1:] = [f"{cells[-1] if cells else ''} ({row.unfinished} unfinished)"]
    return f"| {place if row.complete else ''} | {row.cell} | {' | '.join(cells)} | {_end(row.last)} |"


def _end(last: Iterable[Figures]) -> str:
    """The columns held-out and accuracy."""
    found = list(last)
    if not found:
        return "– | –"
    heldout = _of(mean(f.values["frechet_heldout"] for f in found))
    accuracies = [f.values["accuracy"] for f in found if "accuracy" in f.values]
    return f"{heldout} | {f'{mean(accuracies):.1%}' if accuracies else '–'}"


def _spread(values: list[float]) -> str:
    """Mean and range, e.g. 3.12 (2.90 – 3.41)."""
    return f"{_of(mean(values))} ({_of(min(values))} – {_of(max(values))})" if len(values) > 1 else _of(values[0])


def _of(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"
