from __future__ import annotations

from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator

from studio.operations.body_limit import FORM_BYTES, body_limit, limit_of


async def reads_all(scope: Any, receive: Any, send: Any) -> None:
    """As Django: takes the whole body before it looks at anything."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"read"})


async def status_of(parts: list[bytes], headers: list[tuple[bytes, bytes]], path: str = "/sign-in/") -> int:
    scope = {"type": "http", "path": path, "method": "POST", "headers": headers}
    caller = ApplicationCommunicator(body_limit(reads_all), scope)  # type: ignore[no-untyped-call]
    for number, part in enumerate(parts, start=1):
        more = number < len(parts)
        await caller.send_input({"type": "http.request", "body": part, "more_body": more})  # type: ignore[no-untyped-call]
    answer = await caller.receive_output()  # type: ignore[no-untyped-call]
    return int(answer["status"])


def length(number: int) -> list[tuple[bytes, bytes]]:
    return [(b"content-length", str(number).encode())]


@pytest.mark.parametrize(
    ("parts", "headers", "status"),
    [
        ([b"x"], length(1), 200),
        ([bytes(FORM_BYTES)], [], 200),
        ([b"x"], length(FORM_BYTES + 1), 413),
        ([bytes(FORM_BYTES), b"x"], [], 413),
        ([bytes(FORM_BYTES), b"x"], length(5), 413),
    ],
    ids=["small", "the most", "announced", "chunked", "more than announced"],
)
async def test_a_body_has_a_bound(parts: list[bytes], headers: Any, status: int) -> None:
    assert await status_of(parts, headers) == status


@pytest.mark.parametrize(
    ("path", "mib"),
    [
        ("/studies/7/arms/upload/", 1024),
        ("/studies/7/images/3/replace/", 32),
        ("/studies/7/arms/", 12),
        ("/vote/x/", 12),
    ],
)
def test_each_address_takes_what_it_needs(path: str, mib: int) -> None:
    assert limit_of(path) in (mib << 20, (mib + 1) << 20)


def test_uploads_may_have_the_upload_limit(settings: Any) -> None:
    assert limit_of("/imports/") > settings.UPLOAD_LIMIT > limit_of("/runs/new/") == FORM_BYTES
