"""So many requests a minute for each token or person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from studio.accounts.audit import client_address
from studio.accounts.models import AccessToken
from studio.common.rates import count_this_minute

if TYPE_CHECKING:
    from rest_framework.views import APIView


class RequestsAMinute(BaseThrottle):
    """Leaves `rate_limit` (most, left, seconds until the next window) on the request for the answer's headers."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        used, self._wait = count_this_minute(f"api:{_who(request)}")
        most = settings.API_REQUESTS_A_MINUTE
        request._request.rate_limit = (most, max(0, most - used), int(self._wait) + 1)  # type: ignore[attr-defined]
        return used <= most

    def wait(self) -> float:
        return self._wait


def _who(request: Request) -> str:
    if isinstance(request.auth, AccessToken):
        return f"token:{request.auth.pk}"
    return f"user:{request.user.pk}" if request.user.is_authenticated else f"address:{client_address(request)}"
