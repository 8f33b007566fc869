"""Parts of files, over the address of a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncRequestFactory, RequestFactory

from studio.common.files import CHUNK, file_response

CONTENT = bytes(range(256)) * 5_000  # more than a chunk


@pytest.fixture
def file(tmp_path: Path) -> Path:
    assert len(CONTENT) > CHUNK
    path = tmp_path / "weights.safetensors"
    path.write_bytes(CONTENT)
    return path


def ask(file: Path, **headers: str) -> Any:
    return file_response(RequestFactory().get("/", headers=headers), file, name="w", etag="abc")


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=1279990-", 1_279_990, 1_279_999),
        ("bytes=-10", 1_279_990, 1_279_999),
        ("bytes=1279990-99999999", 1_279_990, 1_279_999),
        ("bytes=-99999999", 0, 1_279_999),
    ],
)
def test_a_range_gives_that_part(file: Path, header: str, first: int, last: int) -> None:
    response = ask(file, Range=header)
    assert response.status_code == 206
    assert response["Content-Range"] == f"bytes {first}-{last}/{len(CONTENT)}"
    assert response["Content-Length"] == str(last - first + 1)
    assert b"".join(response.streaming_content) == CONTENT[first : last + 1]


@pytest.mark.parametrize("header", ["", "bytes=-", "bytes=5-3", "bytes=0-1,4-5", "lines=1-2", "bytes=a-b"])
def test_what_is_no_single_range_gives_the_whole(file: Path, header: str) -> None:
    response = ask(file, Range=header)
    assert response.status_code == 200
    assert response["Accept-Ranges"] == "bytes"
    assert b"".join(response.streaming_content) == CONTENT


@pytest.mark.parametrize("header", ["bytes=1280000-", "bytes=-0"])
def test_a_range_past_the_end_is_told_the_size(file: Path, header: str) -> None:
    response = ask(file, Range=header)
    assert (response.status_code, response["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")


def test_a_range_of_a_file_that_has_changed_gives_the_whole(file: Path) -> None:
    assert ask(file, **{"Range": "bytes=0-9", "If-Range": '"abc"'}).status_code == 206
    assert ask(file, **{"Range": "bytes=0-9", "If-Range": '"old"'}).status_code == 200


def test_under_asgi_it_streams_in_chunks(file: Path) -> None:
    request = AsyncRequestFactory().get("/", headers={"Range": "bytes=5-"})
    response: Any = file_response(request, file, name="w", etag="abc")

    async def chunks() -> list[bytes]:
        return [chunk async for chunk in response.streaming_content]

    parts = async_to_sync(chunks)()
    assert b"".join(parts) == CONTENT[5:]
    assert max(map(len, parts)) <= CHUNK
