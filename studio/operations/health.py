"""Is the process alive, and can it do its work? For probes and load balancers: no sign-in, no secrets, not cached."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import cache

import redis
from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpResponse, JsonResponse

from studio.environment import prepare_data_folder

logger = logging.getLogger(__name__)

# Anybody may ask, so the answer is kept for a moment: asking often costs nothing.
KEEP_SECONDS = 1.0
HEADERS = {"Cache-Control": "no-store"}


class NotReady(RuntimeError):
    """A part that does not work; the message may be shown to anybody."""


def healthz() -> HttpResponse:
    """The process answers. Depends on nothing."""
    return HttpResponse("ok\n", content_type="text/plain", headers=HEADERS)


def readyz() -> HttpResponse:
    """200 where every part works; 503 with which does not."""
    parts = _readiness.parts()
    ready = all(state == "ok" for state in parts.values())
    body = {"status": "ready" if ready else "not ready", "parts": parts}
    return JsonResponse(body, status=200 if ready else 503, headers=HEADERS)


HEALTH: dict[str, Callable[[], HttpResponse]] = {"/healthz": healthz, "/readyz": readyz}


# ---- the parts


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _migrations() -> None:
    missing = _known_migrations() - set(MigrationRecorder(connection).applied_migrations())
    if missing:
        raise NotReady(f"{len(missing)} are not applied")


@cache
def _known_migrations() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None).disk_migrations)


def _redis() -> None:
    _redis_client().ping()


@cache
def _redis_client() -> redis.Redis:
    address = settings.ENVIRONMENT.redis_address(0)
    return redis.Redis.from_url(address, socket_connect_timeout=2, socket_timeout=2)


def _disk() -> None:
    prepare_data_folder(settings.DATA)


PARTS: dict[str, Callable[[], None]] = {
    "database": _database,
    "migrations": _migrations,
    "redis": _redis,
    "disk": _disk,
}


def check_parts() -> dict[str, str]:
    """Each part with "ok", or what is wrong with it; details, which may hold addresses, go to the log."""
    return {name: _state(name, check) for name, check in PARTS.items()}


def _state(name: str, check: Callable[[], None]) -> str:
    try:
        check()
    except NotReady as problem:
        return str(problem)
    except Exception as error:
        logger.warning("not ready: %s: %s", name, error)
        return "fails"
    return "ok"


class Readiness:
    """The last answer, for KEEP_SECONDS; while one thread asks, the others wait for its answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._parts: dict[str, str] = {}

    def parts(self) -> dict[str, str]:
        with self._lock:
            if time.monotonic() - self._asked_at > KEEP_SECONDS:
                self._parts = check_parts()
                self._asked_at = time.monotonic()
            return self._parts


_readiness = Readiness()
