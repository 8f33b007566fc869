"""Queue a run from inside the studio's Django, as the form would."""

from __future__ import annotations

from simcore.config import parse_spec
from simcore.presets import find_preset
from studio.accounts.models import User
from studio.runs.fields import all_leaves, nest, value_at
from studio.runs.services import run_create


def launch(changes: dict[str, object], username: str = "ada") -> int:
    """A run of the digits preset with the given dotted settings; returns its id."""
    preset = find_preset("digits-demo")
    standard = preset.spec.model_dump()
    spec = parse_spec(nest({leaf.path: value_at(standard, leaf.path) for leaf in all_leaves()} | changes))
    return run_create(owner=User.objects.get(username=username), name="test", preset=preset.name, spec=spec).pk
