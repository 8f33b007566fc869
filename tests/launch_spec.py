"""Variations of the digits preset."""

from __future__ import annotations

from simcore.config import RunSpec, parse_spec
from simcore.presets import find_preset
from studio.runs.fields import all_leaves, nest, value_at


def spec_with(changes: dict[str, object]) -> RunSpec:
    """The digits preset with the given dotted settings."""
    standard = find_preset("digits-demo").spec.model_dump()
    return parse_spec(nest({leaf.path: value_at(standard, leaf.path) for leaf in all_leaves()} | changes))
