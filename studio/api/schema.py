"""The OpenAPI document: what drf-spectacular cannot see by itself, said once for every endpoint."""

from __future__ import annotations

import re
from typing import Any, Literal

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import build_basic_type
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from studio.api import idempotency
from studio.api.endpoint import HIGHEST_ID, ListEndpoint
from studio.api.fields import Text
from studio.api.problems import MEDIA_TYPE

WRITES = ("POST", "PUT", "PATCH")


class FieldProblem(serializers.Serializer[Any]):
    """A field that is wrong."""

    field = serializers.CharField(help_text="Dotted path; empty where it is the request as a whole.")
    message = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = FieldProblem(many=True, required=False)  # type: ignore[assignment]


class EndpointSchema(AutoSchema):
    """Adds the query, If-None-Match, Idempotency-Key, and the problems that an endpoint can answer."""

    def get_tags(self) -> list[str]:
        return [self.path.removeprefix("/api/v1/").split("/")[0]]

    def get_override_parameters(self) -> list[Any]:
        parameters: list[Any] = list(super().get_override_parameters())
        for name in self._ids():
            parameters.append(OpenApiParameter(name, _id_schema(), OpenApiParameter.PATH))
        if self.method == "GET" and getattr(self.view, "query_class", None):
            parameters.append(self.view.query_class)  # type: ignore[attr-defined]
        if self._polled():
            parameters.append(OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="An ETag."))
        if self._takes_key():
            parameters.append(
                OpenApiParameter(
                    idempotency.HEADER,
                    {
                        "type": "string",
                        "minLength": 1,
                        "maxLength": idempotency.LONGEST,
                        "pattern": "^[ -~]*[!-~][ -~]*$",
                    },
                    OpenApiParameter.HEADER,
                    description="Of your choice. The same request with the same key, within a day, creates once.",
                )
            )
        return parameters

    def _ids(self) -> list[str]:
        """Names of the numbers in the path."""
        return [name for name in re.findall(r"{(\w*id)}", self.path) if f"<uuid:{name}>" not in self.path_regex]

    def _is_list_view(self, serializer: Any = None) -> bool:
        return self.method == "GET" and isinstance(self.view, ListEndpoint)

    def _polled(self) -> bool:
        return self.method == "GET" and not getattr(self.view, "is_file", False)

    def _takes_key(self) -> bool:
        handler = getattr(self.view, (self.method or "").lower(), None)
        return getattr(handler, "takes_idempotency_key", False)

    def _insert_field_validators(self, field: Any, schema: dict[str, Any]) -> None:
        """A Text has its pattern from here: the framework would put an empty one beside it, which fits it as well."""
        super()._insert_field_validators(field, schema)  # type: ignore[no-untyped-call]
        if isinstance(field, Text):
            schema["pattern"] = "^[^\\u0000]*$"

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        reference = self.resolve_serializer(Problem, "response").ref
        for status, description in self._problems().items():
            bodies.setdefault(status, {"description": description, "content": {MEDIA_TYPE: {"schema": reference}}})
        if self._polled():
            bodies.setdefault("304", {"description": "Nothing has changed since the ETag in If-None-Match."})
        for status, body in bodies.items():
            if status.startswith("2"):
                body.setdefault("headers", {}).update(_LIMITS)
        return dict(sorted(bodies.items()))

    def _problems(self) -> dict[str, str]:
        problems = {
            "400": "The request is not valid; `errors` says where.",
            "401": "No token or session, or one that does not work.",
            "403": "Your role, or the token's scope, does not allow it.",
            "406": "Only JSON is spoken here.",
            "429": "Too many requests; `Retry-After` says when to go on.",
        }
        if "{" in self.path or self._is_list_view():
            problems["404"] = "There is no such thing, or no such page."
        if self.method in WRITES or self.method == "DELETE":
            problems["409"] = "Not possible in the present state."
        if self.method in WRITES:
            problems |= {
                "413": "The body is too large.",
                "415": "The body has to be JSON.",
                "422": "Well formed, but it cannot be done; `errors` says why.",
            }
        return problems


def close_bodies(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Hook: request bodies take no other fields."""
    for name, schema in result["components"]["schemas"].items():
        if name.endswith("Request"):
            schema.setdefault("additionalProperties", False)
    return result


def _id_schema() -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "maximum": HIGHEST_ID}


_LIMITS = {
    f"RateLimit-{name}": {"schema": build_basic_type(OpenApiTypes.INT), "description": text}
    for name, text in (
        ("Limit", "Requests a minute."),
        ("Remaining", "Requests left."),
        ("Reset", "Seconds until the count starts again."),
    )
}


class BearerTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI document describes tokens."""

    target_class = "studio.api.authentication.BearerToken"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A token, made on the page API."}
