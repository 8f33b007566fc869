"""What every log line says besides its message: which request, which person, which run."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from django.http import HttpRequest
from pythonjsonlogger.json import JsonFormatter

_fields: ContextVar[Mapping[str, Any]] = ContextVar("log_fields", default=MappingProxyType({}))
_request: ContextVar[HttpRequest | None] = ContextVar("log_request", default=None)


@contextmanager
def log_fields(**fields: Any) -> Iterator[None]:
    """Every line logged inside the block, in this thread or task, carries these fields as well."""
    token = _fields.set({**_fields.get(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


@contextmanager
def log_request(request: HttpRequest, request_id: str) -> Iterator[None]:
    """Every line logged inside the block carries the request's id, and the person's once they are known."""
    token = _request.set(request)
    try:
        with log_fields(request_id=request_id):
            yield
    finally:
        _request.reset(token)


class ContextFilter(logging.Filter):
    """Puts the fields onto each record; never reads the database to do so."""

    def filter(self, record: logging.LogRecord) -> bool:
        fields = dict(_fields.get())
        # Where Django has looked the person up already; to ask here could be a query for each line.
        user = getattr(_request.get(), "_cached_user", None)
        if user is not None and user.pk is not None:
            fields["user_id"] = user.pk
        for name, value in fields.items():
            setattr(record, name, value)
        _hide_path(record)
        record.context = "".join(f" {name}={value}" for name, value in fields.items())
        return True


def _hide_path(record: logging.LogRecord) -> None:
    """Django names the path of a refused request; invitations and new passwords have their secret in it."""
    match = getattr(getattr(record, "request", None), "resolver_match", None)
    if match is not None and isinstance(record.args, tuple):
        path = record.request.path  # type: ignore[attr-defined]
        record.args = tuple(f"/{match.route}" if argument == path else argument for argument in record.args)


# What others attach to a record: objects, copies of the message, numbers of no interest.
NOT_SHOWN = ("asctime", "context", "request", "status_code", "color_message", "taskName")


class JsonLines(JsonFormatter):
    """One JSON object a line: time (ISO 8601, UTC), level, logger, message, the context, exc_info with a traceback."""

    def __init__(self) -> None:
        super().__init__(
            "%(levelname)s %(name)s %(message)s",
            rename_fields={"levelname": "level", "name": "logger"},
            timestamp="time",
            reserved_attrs=[*vars(logging.makeLogRecord({})), *NOT_SHOWN],
        )


def logging_settings(style: str) -> dict[str, Any]:
    """Django's LOGGING: everything to standard error, as `text` or `json` lines."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"context": {"()": ContextFilter}},
        "formatters": {
            "text": {"format": "{asctime} {levelname} {name}: {message}{context}", "style": "{"},
            "json": {"()": JsonLines},
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": style, "filters": ["context"]}},
        "root": {"handlers": ["console"], "level": "INFO"},
        "loggers": {
            # Celery tells of every doorbell.
            "celery": {"level": "WARNING"},
            "kombu": {"level": "WARNING"},
            # Machines read JSON lines; a file on one person's disk would only grow.
            "studio.requests": {"level": "INFO" if style == "json" else "WARNING"},
            # They bring handlers of their own, which write another format.
            "uvicorn": {"level": "INFO", "handlers": [], "propagate": True},
            "django.server": {"level": "INFO", "handlers": [], "propagate": True},
        },
    }
