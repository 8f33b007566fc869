"""Groups of runs: sweeps over settings, and the paper's ablation, planned before anything is queued."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from django.db import transaction
from django.db.models import Count, Q, QuerySet

from simcore.config import RunSpec, SpecError, parse_spec
from simcore.presets import diff_instruct_cell, figure_2_cells
from studio.accounts.models import User
from studio.catalog.models import Teacher
from studio.jobs.lifecycle import IllegalMove, JobState, UserAction
from studio.pool.needs import gib
from studio.runs.fields import all_leaves, show, value_at
from studio.runs.models import RunGroup
from studio.runs.prepare import disk_forecast, prepare, room_for_checkpoints
from studio.runs.services import RunRefused, check_queue_limit, run_act, run_create

MOST_RUNS = 64


@dataclass(frozen=True)
class Axis:
    """A setting, and the values that it takes."""

    path: str
    label: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class PlannedRun:
    """One run of a group that is to be."""

    name: str
    cell: str
    spec: RunSpec


@dataclass(frozen=True)
class Plan:
    """What a form comes to."""

    kind: str
    axes: tuple[Axis, ...]
    runs: tuple[PlannedRun, ...]

    @property
    def cells(self) -> list[str]:
        """The grid's cells, each once, in order."""
        return list(dict.fromkeys(run.cell for run in self.runs))


def read_axis(path: str, text: str) -> Axis:
    """A setting's dotted path and its values, separated by commas. Raises SpecError under the path."""
    leaves = {leaf.path: leaf for leaf in all_leaves()}
    if path not in leaves:
        raise SpecError({path: "there is no such setting"})
    values = dict.fromkeys(_plain(word.strip()) for word in text.split(",") if word.strip())  # 1e-4 is 0.0001
    if not values:
        raise SpecError({path: "give its values, separated by commas"})
    return Axis(path, leaves[path].label, tuple(values))


def _plain(word: str) -> Any:
    """Numbers, true, false and null as in JSON; the rest is text."""
    try:
        value = json.loads(word)
    except ValueError:
        return word
    return value if value is None or isinstance(value, bool | int | float) else word


def read_seeds(text: str) -> tuple[int, ...]:
    """Seeds separated by commas, each once. Raises SpecError."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not all(word.isascii() and word.isdigit() and len(word) < 19 for word in words):
        raise SpecError({"seeds": "give one or more whole numbers, separated by commas"})
    return tuple(dict.fromkeys(int(word) for word in words))


def plan_sweep(base: RunSpec, axes: Sequence[Axis], seeds: Sequence[int]) -> Plan:
    """Every combination of the axes' values, for every seed. Raises SpecError naming the value that does not fit."""
    if not axes:
        raise SpecError({"axes": "name at least one setting to vary"})
    if len({axis.path for axis in axes}) < len(axes) or any(axis.path == "seed" for axis in axes):
        raise SpecError({"axes": "vary each setting once; seeds have a field of their own"})
    cells = list(product(*(axis.values for axis in axes)))
    _check_number(len(cells) * len(seeds))
    runs = []
    for values in cells:
        names = [f"{_short(axis)}={show(value) or 'empty'}" for axis, value in zip(axes, values, strict=True)]
        changes = {axis.path: value for axis, value in zip(axes, values, strict=True)}
        cell = _with(base, changes)
        runs += _with_seeds(", ".join(names), cell, seeds)
    return Plan(RunGroup.Kind.SWEEP, tuple(axes), tuple(runs))


def plan_ablation(base: RunSpec, seeds: Sequence[int], *, diff_instruct: bool) -> Plan:
    """The cells of the paper's Figure 2, for every seed; with Diff-Instruct beside them where asked for."""
    cells = figure_2_cells(base)
    if diff_instruct:
        cells["diff-instruct"] = diff_instruct_cell(base)
    _check_number(len(cells) * len(seeds))
    runs = [run for name, spec in cells.items() for run in _with_seeds(name, spec, seeds)]
    return Plan(RunGroup.Kind.ABLATION, (), tuple(runs))


def check_plan(plan: Plan) -> None:
    """Raises SpecError where one of its runs could not be launched, or all together would not fit the disk."""
    together = 0
    teachers = {teacher.reference: teacher for teacher in Teacher.objects.all()}
    for planned in plan.runs:
        if planned.spec.teacher not in teachers:
            raise SpecError({"teacher": f"{planned.spec.teacher} is not in the catalogue"})
        card = teachers[planned.spec.teacher].read_card()
        together += disk_forecast(prepare(planned.spec, card), card.parameters)
    if together > (free := room_for_checkpoints()):
        raise SpecError(
            {
                "schedule.keep_last": f"the {len(plan.runs)} runs together would keep {gib(together)} of checkpoints, "
                f"but the disk has room for {gib(free)}; keep fewer, or free space"
            }
        )


def _check_number(number: int) -> None:
    if number > MOST_RUNS:
        raise SpecError({"axes": f"that makes {number} runs; a group has at most {MOST_RUNS}"})


def _short(axis: Axis) -> str:
    return axis.path.rsplit(".", 1)[-1]


def _with(base: RunSpec, changes: dict[str, Any]) -> RunSpec:
    data = base.model_dump()
    for path, value in changes.items():
        *parents, last = path.split(".")
        level = data
        for parent in parents:
            level = level[parent]
        level[last] = value
    try:
        return parse_spec(data)
    except SpecError as error:
        given = ", ".join(f"{path} = {show(value)}" for path, value in changes.items())
        raise SpecError({"axes": f"with {given}: {error}"}) from None


def _with_seeds(cell: str, spec: RunSpec, seeds: Sequence[int]) -> list[PlannedRun]:
    return [
        PlannedRun(
            name=cell if len(seeds) == 1 else f"{cell}, seed {seed}", cell=cell, spec=_with(spec, {"seed": seed})
        )
        for seed in seeds
    ]


def group_create(*, owner: User, name: str, preset: str, plan: Plan) -> RunGroup:
    """Queue all of a plan's runs, or none. Raises RunRefused beyond the queue's limit, SpecError."""
    axes = [{"path": axis.path, "label": axis.label, "values": list(axis.values)} for axis in plan.axes]
    with transaction.atomic():
        check_queue_limit(owner, len(plan.runs))
        group = RunGroup.objects.create(
            name=name or f"{RunGroup.Kind(plan.kind).label}, {preset}", kind=plan.kind, owner=owner, axes=axes,
            cells=plan.cells,
        )  # fmt: skip
        for planned in plan.runs:
            run = run_create(owner=owner, name=planned.name[:200], preset=preset, spec=planned.spec)
            run.group, run.cell = group, planned.cell[:200]
            run.save(update_fields=["group", "cell"])
    return group


def groups_with_counts() -> QuerySet[RunGroup]:
    """All groups, newest first, with the numbers of their runs and of those that are `done`."""
    done = Count("runs", filter=Q(runs__job__state=JobState.SUCCEEDED))
    return RunGroup.objects.select_related("owner").annotate(number=Count("runs"), done=done).order_by("-pk")


def group_cancel(group: RunGroup, *, actor: User) -> int:
    """Cancel all of its runs that have not ended; returns how many."""
    cancelled = 0
    for run in group.runs.select_related("job"):
        try:
            run_act(run, UserAction.CANCEL, actor=actor)
        except IllegalMove:  # it ended, or was cancelled, before
            continue
        cancelled += 1
    if not cancelled:
        raise RunRefused("All of its runs have ended.")
    return cancelled


def still_going(state: str) -> bool:
    """Can it be cancelled?"""
    return state not in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


def varied(spec: dict[str, Any], axes: Sequence[dict[str, Any]]) -> list[str]:
    """A run's values along its group's axes."""
    return [show(value_at(spec, axis["path"])) or "–" for axis in axes]
