"""The OpenAPI document, served."""

from __future__ import annotations

from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from studio.api.endpoint import Endpoint


@cache
def openapi_document() -> dict[str, Any]:
    """OpenAPI 3.1 of every endpoint; it does not change while the process runs."""
    generator: Any = SchemaGenerator()  # type: ignore[no-untyped-call]
    document: dict[str, Any] = generator.get_schema(request=None, public=True)
    return document


@extend_schema(exclude=True)
class Document(Endpoint):
    """GET: the OpenAPI document."""

    def get(self, request: Request) -> Response:
        return Response(openapi_document())
