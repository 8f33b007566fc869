"""Files to the studio in parts: what has arrived stays, and the next call with the same file goes on there."""

from __future__ import annotations

import uuid
from hashlib import file_digest
from pathlib import Path
from typing import Any

from studio.client.download import Tell
from studio.client.http import ApiError, Document, Http, Unreachable

PART = 4 << 20
TRIES_WITHOUT_A_BYTE = 5


def upload(http: Http, file: Path, *, tell: Tell | None = None) -> Document:
    """The complete upload. Raises ApiError, also where the catalogue has the file already, Unreachable, OSError."""
    with file.open("rb") as content:
        sha256 = file_digest(content, "sha256").hexdigest()
        size = content.tell()
        row = _begun(http, sha256, size) or http.create("uploads", {"name": file.name, "size": size, "sha256": sha256})
        failures = 0
        while row["offset"] < size:
            content.seek(row["offset"])
            before, row = row, _send(http, row, content.read(min(PART, row["part_bytes"])))
            failures = 0 if row["offset"] > before["offset"] else failures + 1
            if failures == TRIES_WITHOUT_A_BYTE:
                raise Unreachable(f"{http.url} takes no more of {file.name} after {row['offset']:,} of {size:,} bytes")
            (tell or (lambda _: None))(row["offset"])
    return dict(row)


def _begun(http: Http, sha256: str, size: int) -> Any:
    """An upload of the same file that broke off."""
    rows = http.get("uploads", page_size=200)["results"]
    return next((row for row in rows if (row["sha256"], row["size"]) == (sha256, size)), None)


def _send(http: Http, row: Document, part: bytes) -> Any:
    """The upload after this part. Sending one twice does no harm: the studio answers with where it goes on."""
    headers = {"Content-Type": "application/octet-stream", "Upload-Offset": str(row["offset"])}
    address = f"uploads/{uuid.UUID(row['id'])}"
    try:
        http.request("PATCH", address, part, headers=headers, again=True)
    except ApiError as error:
        if error.status != 409:
            raise
    return http.get(address)
