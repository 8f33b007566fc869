"""Files from the studio: resumed where a connection broke; only what has the right SHA-256 gets its name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from hashlib import file_digest
from pathlib import Path

import urllib3

from studio.client.http import Http, Unreachable

CHUNK = 1 << 18
TRIES_WITHOUT_A_BYTE = 5

Tell = Callable[[int], None]  # bytes that are here


class DownloadFailed(Exception):
    """What arrived is not the file that the studio describes."""


def download(http: Http, path: str, target: Path, *, size: int, sha256: str, tell: Tell | None = None) -> Path:
    """The file of `size` bytes at a path below /api/v1/.

    What has arrived is kept beside `target`, under a name that holds the hash, and the next call goes on with it. A
    `target` that is there already and is the same file is left alone. Raises FileExistsError where it is another,
    DownloadFailed, ApiError, Unreachable, OSError.
    """
    if target.exists():
        if target.is_file() and _sha256(target) == sha256:
            return target
        raise FileExistsError(f"{target} is there already, and another file: choose another name or remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{sha256[:12]}.part")
    if _size(part) > size:
        part.unlink()
    _fetch(http, path, part, size, sha256, tell or (lambda _: None))
    if (found := _sha256(part)) != sha256:
        part.unlink()
        raise DownloadFailed(
            f"what arrived has the SHA-256 {found}, but the studio describes {sha256}: it was damaged on its way or is "
            "damaged there. Nothing was kept; try again."
        )
    part.rename(target)
    return target


def fetch(http: Http, path: str, target: Path) -> Path:
    """A file that is made while it is sent, from its beginning; it gets its name once all is here.

    Raises FileExistsError where `target` is there already, ApiError, Unreachable, OSError.
    """
    if target.exists():
        raise FileExistsError(f"{target} is there already: choose another name or remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    answer, part = http.request("GET", path, stream=True), target.with_name(f"{target.name}.part")
    try:
        with part.open("wb") as file:
            for chunk in answer.stream(CHUNK):
                file.write(chunk)
        part.rename(target)
    except urllib3.exceptions.HTTPError:
        raise Unreachable(f"{http.url} broke off; try again") from None
    finally:
        answer.close()
        part.unlink(missing_ok=True)
    return target


def _fetch(http: Http, path: str, part: Path, size: int, sha256: str, tell: Tell) -> None:
    """Append until the part is whole. Gives up after some tries in which nothing came."""
    failures, here = 0, _size(part)
    while here < size:
        with contextlib.suppress(urllib3.exceptions.HTTPError):  # what has come stays, and the next try goes on there
            _append(http, path, part, here, sha256, tell)
        before, here = here, _size(part)
        failures = 0 if here > before else failures + 1
        if failures == TRIES_WITHOUT_A_BYTE:
            raise Unreachable(f"{http.url} broke off after {here:,} of {size:,} bytes; the same command goes on there")


def _append(http: Http, path: str, part: Path, here: int, sha256: str, tell: Tell) -> None:
    headers = {"Range": f"bytes={here}-", "If-Range": f'"{sha256}"'} if here else {}
    answer = http.request("GET", path, headers=headers, stream=True)
    try:
        if answer.headers.get("ETag") != f'"{sha256}"':
            raise DownloadFailed("the file has changed in the studio; look at the run's checkpoints again")
        with part.open("ab" if answer.status == 206 else "wb") as file:
            tell(file.tell())
            for chunk in answer.stream(CHUNK, decode_content=False):
                file.write(chunk)
                tell(file.tell())
    finally:
        answer.close()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
