"""So many requests a minute for each token or person, counted in Redis; without Redis nobody is held up."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from studio.accounts.audit import client_address
from studio.accounts.models import AccessToken

if TYPE_CHECKING:
    from rest_framework.views import APIView

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 60


class RequestsAMinute(BaseThrottle):
    """Leaves `rate_limit` (most, left, seconds until the next window) on the request for the answer's headers."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        now = time.time()
        window, self._wait = int(now // WINDOW_SECONDS), WINDOW_SECONDS - now % WINDOW_SECONDS
        used = _count(f"api:{_who(request)}:{window}")
        most = settings.API_REQUESTS_A_MINUTE
        request._request.rate_limit = (most, max(0, most - used), int(self._wait) + 1)  # type: ignore[attr-defined]
        return used <= most

    def wait(self) -> float:
        return self._wait


def _count(key: str) -> int:
    try:
        cache.add(key, 0, 2 * WINDOW_SECONDS)
        return cache.incr(key)
    except (RedisError, ValueError) as error:  # ValueError: the key went away between the two
        logger.warning("requests cannot be counted: %s", error)
        return 0


def _who(request: Request) -> str:
    if isinstance(request.auth, AccessToken):
        return f"token:{request.auth.pk}"
    return f"user:{request.user.pk}" if request.user.is_authenticated else f"address:{client_address(request)}"
