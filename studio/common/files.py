"""Files over HTTP: ranges, so that a broken download goes on where it stopped, and never a whole file in memory."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

CHUNK = 2**20


def file_response(request: HttpRequest, path: Path, *, name: str, etag: str) -> HttpResponseBase:
    """The file, or the part that `Range` asks for: 200, 206, or 416 where the file is shorter. `etag` is its hash.

    Several ranges at once, or a range of a file that has changed (If-Range), give the whole.
    """
    size = path.stat().st_size
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{etag}"',
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    whole = request.headers.get("If-Range", headers["ETag"]) != headers["ETag"]
    span = None if whole else _span(request.headers.get("Range", ""), size)
    if span is not None and span[0] > span[1]:
        return HttpResponse(status=416, headers=headers | {"Content-Range": f"bytes */{size}"})
    first, last = span or (0, size - 1)
    if span:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    headers["Content-Length"] = str(last - first + 1)
    # A synchronous iterator under ASGI would be read into memory as a whole.
    chunks = _chunks_async if isinstance(request, ASGIRequest) else _chunks
    return StreamingHttpResponse(
        chunks(path, first, last - first + 1),
        status=206 if span else 200,
        content_type="application/octet-stream",
        headers=headers,
    )


def streamed_response(parts: Iterator[bytes], content_type: str, *, name: str) -> StreamingHttpResponse:
    """A file that is made while it is sent. No part is empty."""
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(_gathered(parts), content_type=content_type, headers=disposition)


async def _gathered(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """In pieces of many parts: an ASGI server would gather a plain iterator whole before it sends anything."""
    while piece := await sync_to_async(_piece)(parts):
        yield piece


def _piece(parts: Iterator[bytes]) -> bytes:
    piece = bytearray()
    while len(piece) < CHUNK and (part := next(parts, b"")):
        piece += part
    return bytes(piece)


def _span(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte; first > last where there is no such byte; None where the whole is asked for."""
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.strip())
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        return (max(size - int(last), 0), size - 1) if int(last) else (size, size - 1)
    if last and int(last) < int(first):
        return None  # not a range at all
    return int(first), min(int(last or size - 1), size - 1)


def _chunks(path: Path, first: int, length: int) -> Generator[bytes, None, None]:
    with path.open("rb") as file:
        file.seek(first)
        while length > 0 and (chunk := file.read(min(CHUNK, length))):
            length -= len(chunk)
            yield chunk


async def _chunks_async(path: Path, first: int, length: int) -> AsyncIterator[bytes]:
    parts = _chunks(path, first, length)
    try:
        while chunk := await sync_to_async(_next, thread_sensitive=False)(parts):
            yield chunk
    finally:
        parts.close()


def _next(parts: Iterator[bytes]) -> bytes:
    return next(parts, b"")
