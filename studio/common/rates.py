"""Counting what somebody does within a minute, in Redis; without Redis nobody is held up."""

from __future__ import annotations

import logging
import time

from django.core.cache import cache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 60


def count_this_minute(who: str) -> tuple[int, float]:
    """Adds one for `who`. Returns how many there are in this window, and the seconds until the next."""
    now = time.time()
    key = f"{who}:{int(now // WINDOW_SECONDS)}"
    try:
        cache.add(key, 0, 2 * WINDOW_SECONDS)
        used = cache.incr(key)
    except (RedisError, ValueError) as error:  # ValueError: the key went away between the two
        logger.warning("requests cannot be counted: %s", error)
        used = 0
    return used, WINDOW_SECONDS - now % WINDOW_SECONDS
