"""The address that Prometheus reads."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from studio.common.permissions import may_administer, may_view, require
from studio.operations.metrics import registry


@login_not_required  # Prometheus has a token and no session
def metrics(request: HttpRequest) -> HttpResponse:
    """For whoever shows SIMSTUDIO_METRICS_TOKEN, and for administrators."""
    if not _has_token(request):
        if not may_view(request.user):
            return HttpResponse(
                "The figures need the token in SIMSTUDIO_METRICS_TOKEN, or an administrator.\n",
                status=401, content_type="text/plain", headers={"WWW-Authenticate": "Bearer"},
            )  # fmt: skip
        require(may_administer(request.user), "read the studio's figures")
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(("GET", "HEAD"))
    return HttpResponse(
        generate_latest(registry), content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"}
    )


def _has_token(request: HttpRequest) -> bool:
    expected = settings.ENVIRONMENT.metrics_token
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return bool(expected) and scheme.lower() == "bearer" and secrets.compare_digest(given.encode(), expected.encode())
