"""What an ablation shows: CSV, Markdown and the ranking. Torch-free."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from simcore.ablation import Figures, Outcome
from simcore.config import RunSpec
from simcore.figures import Figure, figures_of

CLAIM = "sim-nowgt-lognormal"  # the cell that the paper's Figure 2 finds lowest


@dataclass(frozen=True)
class Row:
    """One cell over its seeds: the figures at the end, those of failed or unfinished seeds left out."""

    cell: str
    last: tuple[Figures, ...]
    failures: tuple[str, ...]
    unfinished: int

    @property
    def complete(self) -> bool:
        """Whether every seed reached the end: only then does the mean compare with other cells' means."""
        return not self.failures and not self.unfinished


class Report:
    """Outcomes as text. `dataset` says what is measured; its headline figure, a distance, is what cells are ranked by.

    start: what all runs share, as `simcore.ablation.start` gives it.
    """

    def __init__(self, dataset: str, outcomes: list[Outcome], start: dict[str, Figures]) -> None:
        self.headline, *self._others = figures_of(dataset)
        self._figures: list[Figure] = [self.headline, *self._others]
        self._outcomes, self._start = outcomes, start

    def rows(self) -> list[Row]:
        """The cells by the mean of their headline figures at the end; incomplete ones come last."""
        cells: dict[str, list[Outcome]] = {}
        for outcome in self._outcomes:
            cells.setdefault(outcome.cell.name, []).append(outcome)
        rows = [_row(name, found) for name, found in cells.items()]
        return sorted(rows, key=lambda row: (not row.complete, mean(self._last(row)) if row.last else float("inf")))

    def verdict(self) -> str:
        """Whether the paper's claim, that SIM without weight at lognormal times is lowest, is seen here."""
        complete = [row for row in self.rows() if row.complete]
        incomplete = [row.cell for row in self.rows() if not row.complete]
        claimed = next((row for row in complete if row.cell == CLAIM), None)
        if claimed is None:
            return f"{CLAIM}, which the paper finds lowest, has not finished for every seed: nothing can be said yet."
        rest = f" ({len(incomplete)} without a mean: {', '.join(incomplete)})" if incomplete else ""
        own, best = self._last(claimed), complete[0]
        if best is not claimed:
            apart = _apart(self._last(best), own)
            return (
                f"Does not agree with the paper: {best.cell} is lowest ({self._spread(self._last(best))}); {CLAIM}, "
                f"which the paper finds lowest, is number {complete.index(claimed) + 1} of {len(complete)} "
                f"({self._spread(own)}); {apart}{rest}."
            )
        if len(complete) == 1:
            return f"{CLAIM}, which the paper finds lowest, is the only cell with a mean ({self._spread(own)}){rest}."
        second = self._last(complete[1])
        return (
            f"Agrees with the paper: {CLAIM} is lowest ({self._spread(own)}), ahead of {complete[1].cell} "
            f"({self._spread(second)}); {_apart(own, second)}{rest}."
        )

    def csv(self) -> str:
        """One line for each evaluation: cell, seed, iteration, samples, the figures by name, failure.

        Iteration 0 is every run's own start, measured once. The teacher stands in a line without seed and iteration.
        """
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["cell", "seed", "iteration", "samples", *(figure.name for figure in self._figures), "failure"])
        if "teacher" in self._start:
            writer.writerow(["teacher", "", "", *self._columns(self._start["teacher"]), ""])
        before = [self._start["student"]] if "student" in self._start else []
        for outcome in self._outcomes:
            key = [outcome.cell.name, outcome.cell.spec.seed]
            for figures in (*before, *outcome.figures):
                writer.writerow([*key, figures.iteration, *self._columns(figures), ""])
            if outcome.failure:
                writer.writerow([*key, "", "", *("" for _ in self._figures), outcome.failure])
        return buffer.getvalue()

    def markdown(self, base: RunSpec, seeds: int) -> str:
        """The table by rank, with the headline figure on the way, and the verdict."""
        rows, steps = self.rows(), sorted({f.iteration for o in self._outcomes for f in o.figures})
        names = [*map(str, steps), *(figure.label for figure in self._others)]
        lines = [
            "# Figure 2: objective × weight × times",
            "",
            f"Teacher {base.teacher}, {base.iterations} iterations of batch {base.batch_size}, {seeds} seed(s). "
            f"{self.headline.help}, of the moving average: mean over the seeds (lowest – highest); "
            f"{base.evaluation.samples} samples on the way, {base.evaluation.final_samples} at the start and the end. "
            "More samples read lower.",
            "",
            f"| | cell | {' | '.join(names)} |",
            "|---" * (2 + len(names)) + "|",
        ]
        lines += [self._markdown_row(place, row, steps) for place, row in enumerate(rows, 1)]
        for name, shown in (("student", "every cell before training (iteration 0)"), ("teacher", "teacher")):
            if name in self._start:
                found = self._start[name]
                value = self.headline.show(found.values[self.headline.name])
                lines.append(f"| | {shown} | {'| ' * (len(steps) - 1)}{value} | {self._end([found])} |")
        lines += ["", self.verdict()]
        failures = [f"* {row.cell}, {failure}" for row in rows for failure in row.failures]
        return "\n".join([*lines, *([""] if failures else []), *failures]) + "\n"

    def _columns(self, figures: Figures) -> list[object]:
        return [figures.samples, *(figures.values.get(figure.name, "") for figure in self._figures)]

    def _last(self, row: Row) -> list[float]:
        return [figures.values[self.headline.name] for figures in row.last]

    def _markdown_row(self, place: int, row: Row, steps: list[int]) -> str:
        own = [outcome for outcome in self._outcomes if outcome.cell.name == row.cell]
        cells = []
        for step in steps:
            found = [f.values[self.headline.name] for o in own for f in o.figures if f.iteration == step]
            cells.append(self._spread(found) if found else "–")
        name = row.cell
        if row.failures:
            name += f" **({len(row.failures)} failed)**"
        if row.unfinished:
            name += f" ({row.unfinished} unfinished)"
        return f"| {place if row.complete else ''} | {' | '.join([name, *cells])} | {self._end(row.last)} |"

    def _end(self, last: Sequence[Figures]) -> str:
        """The columns of the other figures: means at the end."""
        cells = []
        for figure in self._others:
            values = [figures.values[figure.name] for figures in last if figure.name in figures.values]
            cells.append(figure.show(mean(values)) if values else "–")
        return " | ".join(cells)

    def _spread(self, values: list[float]) -> str:
        """Mean and range, e.g. 3.12 (2.90 – 3.41)."""
        show = self.headline.show
        return f"{show(mean(values))} ({show(min(values))} – {show(max(values))})" if values[1:] else show(values[0])


def _row(name: str, outcomes: list[Outcome]) -> Row:
    failures = tuple(f"seed {o.cell.spec.seed}: {o.failure}" for o in outcomes if o.failure)
    last = tuple(o.figures[-1] for o in outcomes if o.finished)
    return Row(name, last, failures, len(outcomes) - len(failures) - len(last))


def _apart(lower: list[float], higher: list[float]) -> str:
    if not lower[1:]:
        return "one seed does not say by chance or not"
    return f"their ranges over the seeds {'overlap' if max(lower) >= min(higher) else 'do not overlap'}"
