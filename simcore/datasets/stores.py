"""Where a data set's files lie: in a zip archive or in a folder. Nothing is ever extracted."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from simcore.datasets.decoding import MAX_FILE
from simcore.datasets.image_sets import DatasetError
from simcore.datasets.labels import LABELS_FILE, MAX_LABELS_FILE
from simcore.zip_entries import directory_refusal, entry_refusal

_MAX_ENTRIES = 4_000_000  # of an archive; ImageNet has 1.28 million


class Store(Protocol):
    """Files by name, relative to its root, with forward slashes."""

    path: Path
    names: list[str]

    def open(self, name: str) -> IO[bytes]:
        """The file's content. Raises OSError or zipfile.BadZipFile where it cannot be read."""


def size_limit(name: str) -> int:
    """The most bytes that are read of a file."""
    return MAX_LABELS_FILE if name == LABELS_FILE else MAX_FILE


class ZipStore:
    """A zip archive, opened again in every process that reads it: processes must not share a file position.

    Raises DatasetError for what is no zip archive, and for entries that lead outside, repeat or claim too much.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._archive: zipfile.ZipFile | None = None
        self._process = 0
        with path.open("rb") as file:
            if reason := directory_refusal(file, _MAX_ENTRIES):
                raise DatasetError(f"{path} {reason}")
        try:
            entries = self._opened().infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise DatasetError(f"{path} is not a zip archive, or it is damaged: {error}") from None
        self.names = []
        for entry in entries:
            if entry.is_dir():
                continue
            if reason := entry_refusal(entry, size_limit(entry.filename)):
                raise DatasetError(f"{path}: entry {entry.filename!r} {reason}")
            self.names.append(entry.filename)
        if len(set(self.names)) < len(self.names):
            raise DatasetError(f"{path} holds several entries of the same name")

    def open(self, name: str) -> IO[bytes]:
        return self._opened().open(name)

    def _opened(self) -> zipfile.ZipFile:
        if self._archive is None or self._process != os.getpid():
            self._archive, self._process = zipfile.ZipFile(self.path), os.getpid()
        return self._archive

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_archive": None}


class FolderStore:
    """A folder and those in it. Raises DatasetError for symbolic links and special files, OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = [file.relative_to(path).as_posix() for file in _walk(path)]

    def open(self, name: str) -> IO[bytes]:
        file = (self.path / name).open("rb")
        size = os.fstat(file.fileno()).st_size
        if size > size_limit(name):
            file.close()
            raise OSError(f"it has {size:,} bytes; at most {size_limit(name):,} are read")
        return file


def _walk(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        path = folder / entry.name
        if entry.is_symlink():
            raise DatasetError(f"{path} is a symbolic link; links are not followed: put the files themselves there")
        if entry.is_dir():
            yield from _walk(path)
        elif entry.is_file():
            yield path
        else:
            raise DatasetError(f"{path} is not an ordinary file")
