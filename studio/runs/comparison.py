"""Up to eight runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.urls import reverse

from simcore.config import RunSpec
from simcore.figures import figures_of
from simcore.pretrain_config import PretrainSpec
from studio.jobs.lifecycle import HELD_STATES
from studio.runs.fields import all_leaves, show, value_at
from studio.runs.headline import headline_of
from studio.runs.models import Evaluation, Run, SampleGrid
from studio.runs.rows import run_rows
from studio.runs.services import RunRefused

MOST_RUNS = 8


def read_ids(texts: Sequence[str]) -> list[int]:
    """Run numbers from `runs=1,2&runs=3`, each once, in order. Raises RunRefused for what is no number."""
    words = [word.strip() for text in texts for word in text.split(",") if word.strip()]
    if odd := [word for word in words if not (word.isascii() and word.isdigit() and len(word) <= 18)]:
        raise RunRefused(f"“{odd[0][:40]}” is no run's number. The address reads like /runs/compare/?runs=1,2.")
    return list(dict.fromkeys(int(word) for word in words))


def find_runs(ids: Sequence[int]) -> list[Run]:
    """Those runs, in that order. Raises RunRefused for too few, too many and unknown ones."""
    if len(ids) < 2:
        raise RunRefused("A comparison takes two runs at least.")
    if len(ids) > MOST_RUNS:
        raise RunRefused(f"A comparison takes up to {MOST_RUNS} runs; {len(ids)} were asked for.")
    runs = Run.objects.select_related("job__owner", "teacher", "dataset", "group").prefetch_related("tags").in_bulk(ids)
    if missing := [str(number) for number in ids if number not in runs]:
        raise RunRefused(f"There is no run {', '.join(missing)}.")
    return [runs[number] for number in ids]


def comparison(runs: Sequence[Run]) -> dict[str, Any]:
    """The context of `runs/compare.html`."""
    ids = [run.pk for run in runs]
    return {
        "rows": list(zip(run_rows(runs), _figures(runs), strict=True)),
        "headlines": list(dict.fromkeys(headline_of(run) for run in runs)),
        "differences": differing_settings(runs),
        "grids": _grids(ids),
        "live": any(run.job.state in HELD_STATES for run in runs),
        "labels": {f"{run.pk}": run.name for run in runs},
    }


def differing_settings(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The settings that are not the same in all runs: label, path, unit and each run's value."""
    found = []
    kinds = {PretrainSpec if run.dataset else RunSpec for run in runs}
    leaves = {leaf.path: leaf for kind in (RunSpec, PretrainSpec) if kind in kinds for leaf in all_leaves(kind)}
    for leaf in leaves.values():
        values = [value_at(run.job.spec, leaf.path) for run in runs]
        if any(value != values[0] for value in values):
            shown = [show(value) or "–" for value in values]
            found.append({"label": leaf.label, "path": leaf.path, "unit": leaf.unit, "values": shown})
    return found


def _figures(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """What each run's evaluations of its student come to."""
    found: dict[int, list[Evaluation]] = {run.pk: [] for run in runs}
    for row in Evaluation.objects.filter(run_id__in=found, superseded=False, source="student").order_by("step", "pk"):
        found[row.run_id].append(row)
    return [_figure(run, found[run.pk]) for run in runs]


def _figure(run: Run, rows: Sequence[Evaluation]) -> dict[str, Any]:
    """The least headline figure with its step, and the newest of the other figures."""
    headline, *others = figures_of(run.measured_on)
    measured = [(row.values[headline.name], row.step) for row in rows if headline.name in row.values]
    least, step = min(measured, default=(None, None))
    newest = rows[-1].values if rows else {}
    return {
        "best": "" if least is None else headline.show(least),
        "best_step": step,
        "others": [(figure, figure.show(newest[figure.name])) for figure in others if figure.name in newest],
    }


def _grids(ids: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
    grids: dict[str, list[dict[str, Any]]] = {str(number): [] for number in ids}
    for row in SampleGrid.objects.filter(run_id__in=ids, superseded=False, source="student"):
        url = reverse("runs:sample", args=(row.run_id, row.pk))
        grid = {"id": row.pk, "step": row.step, "url": url, "columns": row.columns, "count": row.count}
        grids[str(row.run_id)].append(grid)
    return grids
