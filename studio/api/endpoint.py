"""What every endpoint has in common. How to write one: docs/api.md."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from django.utils.decorators import method_decorator
from django.views.decorators.http import conditional_page
from rest_framework import generics, serializers
from rest_framework.exceptions import MethodNotAllowed, ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response

HIGHEST_ID = 10**18 - 1  # what the converter "id" takes


class PageQuery(serializers.Serializer[dict[str, Any]]):
    """Parameters of every list."""

    page = serializers.IntegerField(min_value=1, max_value=10**6, default=1, help_text="Which page, from 1.")
    page_size = serializers.IntegerField(min_value=1, max_value=200, default=50, help_text="Rows a page.")


class Pages(PageNumberPagination):
    """`count`, `next`, `previous`, `results`; the numbers are checked by PageQuery."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return []  # PageQuery's

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        ordered = isinstance(queryset, QuerySet) and not queryset.ordered
        return super().paginate_queryset(queryset.order_by("-pk") if ordered else queryset, request, view)


@method_decorator(conditional_page, name="dispatch")
class Endpoint(generics.GenericAPIView[Any]):
    """Strict about its query, tagged for If-None-Match, and telling how many requests are left.

    `query_class` names a serializer of the GET's parameters; its validated values are then in `self.asked`.
    """

    query_class: type[serializers.Serializer[Any]] | None = None
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]  # noqa: RUF012  # OPTIONS would say nothing more
    pagination_class: type[Pages] | None = None
    for_administrators = False
    json_body = True  # False: the endpoint reads the body itself
    asked: dict[str, Any]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not hasattr(self, (request.method or "").lower()):
            raise MethodNotAllowed(request.method or "")
        if self.json_body:
            request._request.body  # noqa: B018  # refuses what is too large, which parsers read past
        self.asked = self._read_query(request)

    def _read_query(self, request: Request) -> dict[str, Any]:
        kind = self.query_class if request.method in ("GET", "HEAD") else None
        given = request.query_params
        known = set(kind().fields) if kind else set()
        problems = {name: ["there is no such parameter"] for name in given if name not in known}
        problems |= {name: ["given more than once"] for name in known if len(given.getlist(name)) > 1}
        if problems:
            raise ValidationError(problems)
        if kind is None:
            return {}
        query = kind(data=given.dict())
        query.is_valid(raise_exception=True)
        return dict(query.validated_data)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        if limit := getattr(request._request, "rate_limit", None):
            for name, value in zip(("Limit", "Remaining", "Reset"), limit, strict=True):
                final[f"RateLimit-{name}"] = str(value)
        final.setdefault("Cache-Control", "private, no-cache")
        return final

    def validated(self, kind: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """The request's body, checked by that serializer, which also refuses fields that it does not know."""
        data = self.request.data
        if not isinstance(data, dict):
            raise ValidationError("send a JSON object")
        body = kind(data=data)
        if unknown := set(data) - set(body.fields):
            raise ValidationError({name: ["there is no such field"] for name in unknown})
        if problems := {name: [problem] for name in data if (problem := _wrong_type(body.fields[name], data[name]))}:
            raise ValidationError(problems)
        body.is_valid(raise_exception=True)
        return dict(body.validated_data)


def _wrong_type(field: serializers.Field[Any, Any, Any, Any], value: Any) -> str:
    """The framework would take "5" for 5 and 0 for false; the document says otherwise."""
    if value is None:
        return ""  # the field itself says whether it may be
    if isinstance(field, serializers.Serializer) and isinstance(value, dict):
        if unknown := next((name for name in value if name not in field.fields), None):
            return f"there is no such field: {str(unknown)[:40]}"
        wrong = ((name, _wrong_type(field.fields[name], inner)) for name, inner in value.items())
        return next((f"{name} {problem}" for name, problem in wrong if problem), "")
    if isinstance(field, serializers.ListField) and isinstance(value, list):
        return next((problem for item in value if (problem := _wrong_type(field.child, item))), "")
    if isinstance(field, serializers.BooleanField):
        return "" if isinstance(value, bool) else "has to be true or false"
    if isinstance(field, serializers.IntegerField):
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return "" if whole and not isinstance(value, bool) else "has to be a whole number"
    if isinstance(field, serializers.CharField | serializers.ChoiceField | serializers.UUIDField):
        return "" if isinstance(value, str) else "has to be a text"
    return ""


class ListEndpoint(Endpoint):
    """GET: pages of `rows()`, each through `serializer_class`."""

    pagination_class = Pages
    query_class = PageQuery

    def rows(self) -> QuerySet[Any] | list[Any]:
        """What `self.asked` asks for."""
        raise NotImplementedError

    def prepare(self, page: list[Model]) -> list[Any]:
        """What the serializer is given for these rows: the place to gather related rows at once."""
        return list(page)

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.rows())
        return self.get_paginated_response(self.get_serializer(self.prepare(list(page or [])), many=True).data)


class AnyAccept(BaseContentNegotiation):
    """For files, whose kind is fixed: whatever the Accept header says; errors go out as JSON."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return next(iter(parsers), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return next(iter(renderers)), next(iter(renderers)).media_type
