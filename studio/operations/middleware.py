"""Middleware: health; request ids, a log line and the measures of every request that is not for a static file."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from studio.common.log_context import log_request
from studio.operations.health import HEALTH
from studio.operations.metrics import observe_request

logger = logging.getLogger("studio.requests")

Respond = Callable[[HttpRequest], HttpResponseBase]
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def health(get_response: Respond) -> Respond:
    """Answers /healthz and /readyz before anything else.

    Here and not in the URLs: probes ask by an address that is none of the allowed hosts, without a session.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        answer = HEALTH.get(request.path)
        if answer is None:
            return get_response(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        return answer()

    return middleware


def requests(get_response: Respond) -> Respond:
    """Gives each request an id (a proxy's is kept), logs and measures it, and keeps what is private out of caches."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        began = time.perf_counter()
        with log_request(request, request_id):
            response = get_response(request)
            seconds = time.perf_counter() - began
            route = route_of(request)
            observe_request(request.method or "", route, response.status_code, seconds)
            # The route, not the path: invitations and new passwords have their secret in the path.
            logger.info("%s %s %s in %.0f ms", request.method, route, response.status_code, 1000 * seconds)
        response.headers["X-Request-ID"] = request_id
        response.headers.setdefault("Cache-Control", "private, no-cache")
        return response

    return middleware


def route_of(request: HttpRequest) -> str:
    """The pattern of the address, as in /runs/<id:pk>/: a path would make a series of its own for every run."""
    match = request.resolver_match
    return f"/{match.route}" if match else "(none)"
