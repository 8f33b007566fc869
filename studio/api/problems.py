"""Every error under /api/ is an RFC 9457 problem: type, title, status, detail, and the fields that are wrong."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

from simcore.config import SpecError
from studio.accounts.services import PeopleError
from studio.catalog.refusals import Refused
from studio.jobs.lifecycle import IllegalMove
from studio.jobs.queue import QueueError
from studio.notifications.services import NotificationRefused
from studio.runs.services import RunRefused
from studio.study.lifecycle import StudyRefused

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

# What services refuse, and the status that says so. A new service adds its exception here.
REFUSALS: dict[type[Exception], int] = {
    IllegalMove: HTTPStatus.CONFLICT,
    PeopleError: HTTPStatus.CONFLICT,
    RunRefused: HTTPStatus.CONFLICT,
    QueueError: HTTPStatus.CONFLICT,
    StudyRefused: HTTPStatus.CONFLICT,  # the state does not allow it; 422 where it names a field
    NotificationRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
    RequestDataTooBig: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}


class Unprocessable(exceptions.APIException):
    """The request is well formed, but cannot be done; `problems` maps fields to reasons."""

    status_code = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("The request cannot be done as it stands.")
        self.problems = problems


def problem(status: int, detail: str = "", errors: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """The body of an error. `errors` names each wrong field and why."""
    body: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": int(status)}
    body["detail"] = detail or HTTPStatus(status).description or HTTPStatus(status).phrase
    return body | ({"errors": errors} if errors else {})


def handle(error: Exception, context: dict[str, Any]) -> Response:
    """Django REST framework's exception handler."""
    if (body := _refusal(error)) is not None:
        set_rollback()
        response: Response | None = Response(body, status=body["status"])
    else:
        response = exception_handler(error, context)
        if response is not None:
            response.data = _from_framework(error, response)
    if response is None:
        logger.error("unhandled error in %s", context["request"].path, exc_info=error)
        got_request_exception.send(sender=None, request=context["request"]._request)
        set_rollback()
        response = Response(problem(500, "The studio failed; its log says why."), status=500)
    response.content_type = MEDIA_TYPE
    return response


def _refusal(error: Exception) -> dict[str, Any] | None:
    if isinstance(error, SpecError):
        error = Unprocessable(error.problems)
    if isinstance(error, StudyRefused) and error.field:
        error = Unprocessable({error.field: str(error)})
    if isinstance(error, Unprocessable):
        errors = [{"field": field, "message": message} for field, message in error.problems.items()]
        return problem(error.status_code, str(error.detail), errors)
    if isinstance(error, Refused):
        return problem(error.status, str(error)) | error.facts
    for kind, status in REFUSALS.items():
        if isinstance(error, kind):
            message = str(error)
            return problem(status, message[:1].upper() + message[1:])
    return None


def _from_framework(error: Exception, response: Response) -> dict[str, Any]:
    if isinstance(error, exceptions.ValidationError):
        errors = list(_fields("", error.detail))
        return problem(response.status_code, "Some of what was sent is not valid.", errors)
    detail = response.data.get("detail", "") if isinstance(response.data, dict) else ""
    return problem(response.status_code, str(detail))


def _fields(path: str, detail: Any) -> Any:
    """Each message with the dotted path of its field, out of the framework's nested lists and dictionaries."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _fields(path if name == "non_field_errors" else f"{path}.{name}".lstrip("."), inner)
    elif isinstance(detail, list):
        for number, inner in enumerate(detail):
            yield from _fields(f"{path}.{number}" if isinstance(inner, dict | list) else path, inner)
    else:
        yield {"field": path, "message": str(detail)}


def _or_page(status: int, page: Any, detail: str = "") -> Any:
    """A handler for `studio.urls`: a problem below /api/, Django's page elsewhere."""

    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.path.startswith("/api/v1/"):
            return JsonResponse(problem(status, detail), status=status, content_type=MEDIA_TYPE)
        result: HttpResponse = page(request, *args, **kwargs)
        return result

    return answer


bad_request = _or_page(400, defaults.bad_request)
permission_denied = _or_page(403, defaults.permission_denied)
not_found = _or_page(404, defaults.page_not_found, "There is nothing at this address.")
server_error = _or_page(500, defaults.server_error, "The studio failed; its log says why.")
