"""Fields that endpoints share."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class Text(serializers.CharField):
    """A text as it is given, spaces and all. Empty only where `allow_blank`; never with NUL, for PostgreSQL's sake."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)
