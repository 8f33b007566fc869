"""A run's settings as a flat JSON object: dotted path → value, typed and bounded as its specification says."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from simcore.config import RunSpec, Spec
from simcore.pretrain_config import PretrainSpec
from studio.runs.fields import Leaf, all_leaves

_TYPES = {int: "integer", float: "number", bool: "boolean", str: "string", tuple: "array"}
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


def schema_of(leaf: Leaf) -> dict[str, Any]:
    """Of a setting's values, for the OpenAPI document."""
    kind = _TYPES[leaf.type]
    unit = f" In {leaf.unit}." if leaf.unit else ""
    schema: dict[str, Any] = {
        "type": [kind, "null"] if leaf.optional else kind,
        "description": f"{leaf.help}{unit}",
    }
    if leaf.choices:
        schema["enum"] = [*leaf.choices, *([None] if leaf.optional else [])]
    if leaf.type is tuple:
        schema["items"] = {"type": "integer"}
    if leaf.type is str and not leaf.choices:
        schema["maxLength"] = 500
    return schema | {_BOUNDS[name]: bound for name, bound in leaf.bounds.items()}


def _has_type(leaf: Leaf, value: Any) -> bool:
    if value is None:
        return leaf.optional
    if isinstance(value, bool) or leaf.type is bool:
        return isinstance(value, bool) and leaf.type is bool
    if leaf.type is int:
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if leaf.type is tuple:
        return isinstance(value, list) and all(isinstance(item, int) and not isinstance(item, bool) for item in value)
    return isinstance(value, int | float) if leaf.type is float else isinstance(value, leaf.type)


def problem_of(leaf: Leaf, value: Any) -> str:
    """What is wrong with the value's JSON type; empty: nothing."""
    if not _has_type(leaf, value):
        return f"has to be of type {_TYPES[leaf.type]}"
    if isinstance(value, str) and ("\0" in value or len(value) > 500):
        return "at most 500 characters, and no NUL"
    return ""


def _object(kind: type[Spec], *without: str) -> dict[str, Any]:
    return {
        "type": "object",
        "description": "Settings that differ from the standard. The names are those of the form.",
        "properties": {leaf.path: schema_of(leaf) for leaf in all_leaves(kind) if leaf.path not in without},
        "additionalProperties": False,
    }


@extend_schema_field(_object(RunSpec))
class SettingsField(serializers.Field[Any, Any, Any, Any]):
    """Names and JSON types are checked here; bounds and what goes together, by the specification."""

    kind: type[Spec] = RunSpec
    without: tuple[str, ...] = ()

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("an object of settings, as in {“iterations”: 1000}")
        leaves = {leaf.path: leaf for leaf in all_leaves(self.kind) if leaf.path not in self.without}
        problems = {}
        for path, value in data.items():
            if path not in leaves:
                problems[path] = ["there is no such setting"]
            elif problem := problem_of(leaves[path], value):
                problems[path] = [problem]
        if problems:
            raise serializers.ValidationError(problems)
        return data

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field(_object(PretrainSpec, "dataset"))
class TeacherSettingsField(SettingsField):
    """Of a teacher's training; its data set has a field of its own."""

    kind, without = PretrainSpec, ("dataset",)
