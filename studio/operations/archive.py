"""The format of a backup: a gzip-compressed tar archive, written and read as a stream.

Members, in this order: `database` (SQLite's file, or pg_dump's custom format), `data/…` (the files of the data folder),
`manifest.json` last, with the size and SHA-256 of every member before it.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from pydantic import BaseModel, ValidationError

FORMAT = 1
DATABASE, DATA, MANIFEST = "database", "data", "manifest.json"
CHUNK = 1 << 20
MOST_MANIFEST_BYTES = 1 << 28


class BackupProblem(RuntimeError):
    """A backup cannot be made or restored; the message says why and what would help."""


class Entry(BaseModel):
    """One member: its size in bytes and its SHA-256 in hexadecimal."""

    size: int
    sha256: str


class Manifest(BaseModel):
    """What an archive holds, and which studio wrote it."""

    format: int
    version: str
    created_at: str
    vendor: str
    migrations: list[tuple[str, str]]
    members: dict[str, Entry]


class _Hashing:
    """Reads a file and hashes what it gave."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._digest = file, hashlib.sha256()

    def hexdigest(self) -> str:
        return self._digest.hexdigest()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        return data


class Writer:
    """Adds files to an archive and notes their hashes."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.members: dict[str, Entry] = {}

    def add(self, path: Path, name: str) -> None:
        """Add the file as it is now; what is appended meanwhile is left out. A file that is gone is left out."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        with file:
            hashing = _Hashing(file)
            size = os.fstat(file.fileno()).st_size
            try:
                self._tar.addfile(_header(name, size), hashing)
            except OSError as error:
                raise BackupProblem(f"{path} could not be copied ({error}); try again") from None
            self.members[name] = Entry(size=size, sha256=hashing.hexdigest())

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, the last member."""
        text = manifest.model_dump_json(indent=1).encode()
        self._tar.addfile(_header(MANIFEST, len(text)), io.BytesIO(text))


def _header(name: str, size: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size, header.mode, header.mtime = size, 0o600, int(time.time())
    return header


def unpack(archive: Path, folder: Path) -> Manifest:
    """Write every member below `folder`, compare all with the manifest, and return it.

    Raises BackupProblem where the archive is damaged, incomplete, too new, or names a file outside of the folder.
    """
    found: dict[str, Entry] = {}
    manifest = None
    try:
        with tarfile.open(archive, "r|gz") as tar:
            for member, file in _files(tar):
                if member.name == MANIFEST:
                    manifest = _manifest(file.read(MOST_MANIFEST_BYTES))
                else:
                    found[member.name] = _write(file, folder / member.name)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BackupProblem(f"{archive} cannot be read to its end: {error}") from None
    if manifest is None:
        raise BackupProblem(f"{archive} is no whole backup: its manifest is missing")
    _compare(found, manifest.members)
    return manifest


def _files(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    for member in tar:
        path = PurePosixPath(member.name)
        known = path.parts[:1] in ((DATABASE,), (DATA,), (MANIFEST,))
        file = tar.extractfile(member) if member.isreg() else None
        if file is None or not known or path.is_absolute() or ".." in path.parts or "\0" in member.name:
            raise BackupProblem(f"the archive holds {member.name!r}, which no backup of the studio would")
        yield member, file


def _write(file: IO[bytes], target: Path) -> Entry:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as output:
        while data := file.read(CHUNK):
            digest.update(data)
            size += output.write(data)
    return Entry(size=size, sha256=digest.hexdigest())


def _manifest(text: bytes) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError:
        raise BackupProblem("the archive's manifest cannot be read") from None
    if manifest.format > FORMAT:
        raise BackupProblem(f"the archive has format {manifest.format}; this studio reads {FORMAT}: upgrade it first")
    return manifest


def _compare(found: dict[str, Entry], expected: dict[str, Entry]) -> None:
    wrong = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    if wrong:
        raise BackupProblem(f"damaged or missing in the archive: {', '.join(wrong[:5])} ({len(wrong)} in all)")
