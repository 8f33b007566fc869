"""Files that are made while they are sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import islice

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

PIECE = 2_000


def download(parts: Iterator[bytes], content_type: str, name: str) -> StreamingHttpResponse:
    """The parts, one after the other, as a file of that name."""
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(_streamed(parts), content_type=content_type, headers=disposition)


async def _streamed(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """In pieces of many parts: an ASGI server would gather a plain iterator whole before it sends anything."""
    while piece := await sync_to_async(lambda: b"".join(islice(parts, PIECE)))():
        yield piece
