"""The settings of a RunSpec, flattened: one leaf a dotted path, grouped as the models are nested."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from simcore.config import RunSpec, Spec


@dataclass(frozen=True)
class Leaf:
    """One setting: where it stands, what it is, what it may be."""

    path: str
    label: str
    help: str
    unit: str
    source: str
    type: type
    optional: bool
    choices: tuple[str, ...]
    bounds: dict[str, Any]


@dataclass(frozen=True)
class Group:
    """Settings shown together."""

    name: str
    title: str
    help: str
    leaves: tuple[Leaf, ...]


@cache
def spec_groups(kind: type[Spec] = RunSpec) -> tuple[Group, ...]:
    """The specification's own scalars first, then one group for each nested model."""
    scalars = tuple(leaf for leaf in _leaves(kind, "", nested=False))
    groups = [Group("run", "Run", "Length, batch and device.", scalars)]
    for name, field in kind.model_fields.items():
        if model := _nested(field):
            leaves = tuple(_leaves(model, f"{name}.", nested=True))
            groups.append(Group(name, field.title or name, field.description or "", leaves))
    return tuple(groups)


def all_leaves(kind: type[Spec] = RunSpec) -> Iterator[Leaf]:
    """Every setting, in the form's order."""
    for group in spec_groups(kind):
        yield from group.leaves


def value_at(spec: dict[str, Any], path: str) -> Any:
    """The value of a dotted path in a dumped spec; None where an older spec lacks it."""
    value: Any = spec
    for part in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def nest(values: dict[str, Any]) -> dict[str, Any]:
    """Dotted paths to nested dictionaries."""
    spec: dict[str, Any] = {}
    for path, value in values.items():
        *parents, last = path.split(".")
        level = spec
        for part in parents:
            level = level.setdefault(part, {})
        level[last] = value
    return spec


def show(value: Any) -> str:
    """A value as the form writes it; reading it back gives the same number."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(map(show, value))
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _leaves(model: type[Spec], prefix: str, *, nested: bool) -> Iterator[Leaf]:
    for name, field in model.model_fields.items():
        inner = _nested(field)
        if inner is None:
            yield _leaf(f"{prefix}{name}", field)
        elif nested:
            yield from _leaves(inner, f"{prefix}{name}.", nested=True)


def _nested(field: FieldInfo) -> type[Spec] | None:
    """The model of a nested specification; of several alternatives the first, which the form is for."""
    alternatives = get_args(field.annotation) if get_origin(field.annotation) is UnionType else (field.annotation,)
    return next((part for part in alternatives if isinstance(part, type) and issubclass(part, Spec)), None)


def _leaf(path: str, field: FieldInfo) -> Leaf:
    alternatives = [part for part in get_args(field.annotation) if part is not type(None)]
    is_choice = get_origin(field.annotation) is Literal
    optional = not is_choice and type(None) in get_args(field.annotation)
    base = alternatives[0] if optional else field.annotation
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    return Leaf(
        path=path,
        label=field.title or path.rsplit(".", 1)[-1].replace("_", " "),
        help=field.description or "",
        unit=str(extra.get("unit", "")),
        source=str(extra.get("source", "")),
        type=str if is_choice else base if isinstance(base, type) else get_origin(base) or str,
        optional=optional,
        choices=tuple(alternatives) if is_choice else (),
        bounds={
            name: getattr(bound, name)
            for bound in field.metadata
            for name in ("ge", "gt", "le", "lt")
            if hasattr(bound, name)
        },
    )
