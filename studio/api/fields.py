"""Fields that endpoints share."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from rest_framework import serializers


class Text(serializers.CharField):
    """A text as it is given, spaces and all. Empty only where `allow_blank`; never with NUL, for PostgreSQL's sake."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)


class TextSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI document describes it."""

    target_class = "studio.api.fields.Text"
    match_subclasses = False

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer_field(self.target, direction, bypass_extensions=True)
        return schema | {"pattern": "^[^\\u0000]*$"}
