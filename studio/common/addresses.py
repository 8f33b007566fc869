"""What the parts of an address may be."""

from __future__ import annotations

from django.urls import register_converter
from django.urls.converters import IntConverter


class IdConverter(IntConverter):
    """The number of a row. A longer one fits no database and is not found."""

    regex = "[0-9]{1,18}"


register_converter(IdConverter, "id")
