"""A bound on what a request may carry, before Django keeps it on disk for whoever sent it."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings

MIB = 1 << 20
FORM_BYTES = 12 * MIB  # with the longest list of prompts
# Where files come in, and the most bytes of one; None: as large as uploads may be.
UPLOAD_ADDRESSES = (
    (re.compile(r"/imports/|/api/v1/uploads"), None),
    (re.compile(r"/studies/\d+/arms/upload/$|/api/v1/studies/\d+/.*(images|archive|upload)"), 1 << 30),
    (re.compile(r"/studies/\d+/images/\d+/replace/$"), 32 * MIB),
)

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

TOO_LARGE = "The request is larger than this address takes: {limit:,} bytes."


def limit_of(path: str) -> int:
    """Bytes that a request to that address may have; what an upload means is checked more closely by its view."""
    for address, most in UPLOAD_ADDRESSES:
        if address.match(path):
            return min(most or settings.UPLOAD_LIMIT, settings.UPLOAD_LIMIT) + MIB
    return FORM_BYTES


class _TooLarge(Exception):
    pass


def body_limit(application: Application) -> Application:
    """Wraps an ASGI application for HTTP: 413 by the announced length, or as soon as more has come."""

    async def limited(scope: Message, receive: Receive, send: Send) -> None:
        limit = limit_of(scope["path"])
        announced = dict(scope["headers"]).get(b"content-length", b"")
        if announced.isdigit() and int(announced) > limit:
            return await _refuse(scope, send, limit)
        received, begun = 0, False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await application(scope, counted, noted)
        except _TooLarge:
            if not begun:
                await _refuse(scope, send, limit)

    return limited


async def _refuse(scope: Message, send: Send, limit: int) -> None:
    said, kind = TOO_LARGE.format(limit=limit), b"text/plain; charset=utf-8"
    if scope["path"].startswith("/api/"):
        problem = {"type": "about:blank", "title": "Request too large", "status": 413, "detail": said}
        said, kind = json.dumps(problem), b"application/problem+json"
    headers = [(b"content-type", kind), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": said.encode()})
