"""The server-side folder from which an administrator allows imports."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from simcore.file_kinds import HEAD, FileKind, UnknownFile, file_kind
from studio.catalog.refusals import Refused

MOST_FILES = 500
MOST_LOOKED_AT = 5_000  # each is opened to tell its kind


@dataclass(frozen=True)
class FolderFile:
    """A file that can be imported; `path` is relative to the folder."""

    path: str
    size: int
    kind: FileKind


def folder_files() -> list[FolderFile]:
    """The importable files in the folder, at most MOST_FILES, by path. Hidden ones and strangers are left out.

    After MOST_LOOKED_AT files nobody looks further: a folder of extracted images is no folder of archives.
    """
    root: Path | None = settings.IMPORT_FOLDER
    if root is None:
        return []
    found: list[FolderFile] = []
    looked_at = 0
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            if (file := _file(root, Path(folder) / name)) is not None:
                found.append(file)
            looked_at += 1
            if len(found) == MOST_FILES or looked_at == MOST_LOOKED_AT:
                return found
    return found


def folder_path(relative: str) -> tuple[Path, FileKind]:
    """The file that a relative path names. Raises Refused for one outside, links resolved, or of no known kind."""
    root: Path | None = settings.IMPORT_FOLDER
    if root is None:
        raise Refused("No import folder is set up: an administrator can name one in SIMSTUDIO_IMPORT_FOLDER.")
    try:
        path = (root / relative).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise Refused(f"There is no file {relative!r} in the import folder.") from None
    if not path.is_relative_to(root) or not path.is_file():
        raise Refused(f"There is no file {relative!r} in the import folder.")
    try:
        with path.open("rb") as file:
            return path, file_kind(file.read(HEAD))
    except OSError as error:
        raise Refused(f"{relative} cannot be read: {error.strerror}.") from None
    except UnknownFile as error:
        raise Refused(f"{relative} is nothing that can be imported: {error}.") from None


def _file(root: Path, path: Path) -> FolderFile | None:
    relative = path.relative_to(root).as_posix()
    if path.name.startswith("."):
        return None
    try:
        real, kind = folder_path(relative)
        return FolderFile(relative, real.stat().st_size, kind)
    except (Refused, OSError):
        return None
