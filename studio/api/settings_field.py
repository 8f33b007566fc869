"""A run's settings as a flat JSON object: dotted path → value, typed and bounded as RunSpec says."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from studio.runs.fields import Leaf, all_leaves

_TYPES = {int: "integer", float: "number", bool: "boolean", str: "string"}
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
    return isinstance(value, int | float) if leaf.type is float else isinstance(value, leaf.type)


def problem_of(leaf: Leaf, value: Any) -> str:
    """What is wrong with the value's JSON type; empty: nothing."""
    if not _has_type(leaf, value):
        return f"has to be of type {_TYPES[leaf.type]}"
    if isinstance(value, str) and ("\0" in value or len(value) > 500):
        return "at most 500 characters, and no NUL"
    return ""


@extend_schema_field(
    {
        "type": "object",
        "description": "Settings that differ from the preset's. The names are those of the New run form.",
        "properties": {leaf.path: schema_of(leaf) for leaf in all_leaves()},
        "additionalProperties": False,
    }
)
class SettingsField(serializers.Field[Any, Any, Any, Any]):
    """Names and JSON types are checked here; bounds and what goes together, by RunSpec."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("an object of settings, as in {“iterations”: 1000}")
        leaves = {leaf.path: leaf for leaf in all_leaves()}
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
