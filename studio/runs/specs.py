"""What a run's specification starts from: a preset or another run, with some settings changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from simcore.config import RunSpec, SpecError, parse_spec
from simcore.presets import PRESETS, find_preset
from studio.catalog.models import Teacher
from studio.runs.fields import all_leaves, nest, value_at
from studio.runs.models import Run
from studio.runs.prepare import prepare


def preset_start(preset: str) -> dict[str, Any]:
    """The preset's specification as plain data."""
    return find_preset(preset).spec.model_dump(mode="json")


def run_start(run: Run) -> dict[str, Any]:
    """The run's specification as plain data, whole also where it is of an earlier version."""
    spec: dict[str, Any] = run.job.spec
    return filled(preset_start(run.preset), spec) if run.preset in PRESETS else spec


def filled(standard: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """`given`, with the preset's values for the settings that a spec of an earlier version lacks."""
    return {
        name: (filled(value, given.get(name) or {}) if isinstance(value, dict) else given.get(name, value))
        for name, value in standard.items()
    }


def changed_spec(start: dict[str, Any], settings: dict[str, Any]) -> RunSpec:
    """`start` with some settings changed: dotted path → value. Raises SpecError."""
    values = {leaf.path: value_at(start, leaf.path) for leaf in all_leaves()}
    return parse_spec(nest(values | settings))


def changed_settings(run: Run) -> dict[str, Any]:
    """The settings in which a run differs from its preset: dotted path → the preset's value.

    What the preset leaves to the launch is no difference. Empty where the preset is no longer there.
    """
    if run.preset not in PRESETS:
        return {}
    standard = preset_start(run.preset)
    before = {leaf.path: value_at(standard, leaf.path) for leaf in all_leaves()}
    return {
        path: value
        for path, value in before.items()
        if not is_automatic(value) and value_at(run.job.spec, path) != value
    }


def is_automatic(value: Any) -> bool:
    """A preset leaves it to the launch."""
    return value is None or value == "auto"


def checked_teacher(spec: RunSpec) -> Teacher:
    """The teacher of a spec that could be launched now. Raises SpecError."""
    teacher = Teacher.objects.filter(reference=spec.teacher).first()
    if teacher is None:
        raise SpecError({"teacher": f"the catalogue has no teacher “{spec.teacher}”"})
    prepare(spec, teacher.read_card())
    return teacher


@contextmanager
def errors_below(name: str) -> Iterator[None]:
    """A SpecError's paths get `name` before them."""
    try:
        yield
    except SpecError as error:
        raise SpecError({f"{name}.{path}".rstrip("."): text for path, text in error.problems.items()}) from None
