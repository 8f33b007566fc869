"""The paper's Figure 2 as a folder of ordinary runs. Torch-free.

The folder holds `ablation.json` (the base specification, resolved) and `runs/<cell>/seed-<n>/`, each a run folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from simcore.config import RunSpec
from simcore.events import Evaluation, Event, Failed, Finished
from simcore.presets import diff_instruct_cell, figure_2_cells
from simcore.resolve import resolve
from simcore.run_folder import EventLog
from simcore.teacher_card import read_card

# What the cells decide themselves.
VARIED = (
    *(f"objective.{name}" for name in ("name", "distance", "weighting", "sid_alpha", "time.law")),
    "evaluation.at_start",
)


@dataclass(frozen=True)
class Cell:
    """One cell's run with one seed. Only the first of an ablation measures the start, which all have in common."""

    name: str
    spec: RunSpec
    folder: Path


@dataclass(frozen=True)
class Figures:
    """One evaluation: the iteration, how many samples, and what was measured by name."""

    iteration: int
    samples: int
    values: dict[str, float]


@dataclass(frozen=True)
class Outcome:
    """What a run's folder shows: its student's figures in order of the iterations, whether it ended, or why not."""

    cell: Cell
    figures: tuple[Figures, ...]
    finished: bool
    failure: str


def plan(base: RunSpec, seeds: int, out: Path) -> list[Cell]:
    """The nine cells for each of the seeds base.seed, base.seed + 1, …; all cells of one seed before the next seed.

    Raises TeacherError, and SpecError where a cell does not fit the teacher.
    """
    card = read_card(base.teacher)
    specs = {**figure_2_cells(base), "diff-instruct": diff_instruct_cell(base)}
    cells: list[Cell] = []
    for seed in range(base.seed, base.seed + seeds):
        for name, spec in specs.items():
            evaluation = spec.evaluation.model_copy(update={"at_start": not cells})
            spec = resolve(spec.model_copy(update={"seed": seed, "evaluation": evaluation}), card)
            cells.append(Cell(name, spec, out / "runs" / name / f"seed-{seed}"))
    return cells


def write_base(out: Path, base: RunSpec) -> None:
    """Make the folder an ablation's. Raises OSError."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "ablation.json").write_text(base.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_base(out: Path) -> RunSpec | None:
    """The folder's base specification, None where it is new or empty. Raises ValueError where it holds other things."""
    path = out / "ablation.json"
    if path.is_file():
        try:
            return RunSpec.model_validate_json(path.read_bytes())
        except ValidationError:
            raise ValueError(f"{path} is not a readable specification; choose another folder") from None
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} holds something other than an ablation; choose another folder")
    return None


def outcome(cell: Cell) -> Outcome:
    """What the cell's folder shows so far."""
    events = EventLog(cell.folder).read()
    last = events[-1] if events else None
    figures = tuple(figures for figures in _evaluations(events, "student") if figures.iteration > 0)
    return Outcome(cell, figures, isinstance(last, Finished), last.reason if isinstance(last, Failed) else "")


def start(first: Cell) -> dict[str, Figures]:
    """What all runs share, as the first one measured it: "student" before training, which is the teacher in one
    step, and "teacher" with its sampler. Empty where it was not measured yet."""
    events = EventLog(first.folder).read()
    return {source: found[0] for source in ("student", "teacher") if (found := _evaluations(events, source))}


def _evaluations(events: list[Event], source: str) -> tuple[Figures, ...]:
    return tuple(
        Figures(event.step, event.samples, event.values)
        for event in events
        if isinstance(event, Evaluation) and event.source == source
    )
