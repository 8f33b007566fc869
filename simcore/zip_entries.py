"""What is wrong with a zip archive that somebody sent, or with an entry, by what it claims. Torch-free."""

from __future__ import annotations

import stat
import zipfile
from pathlib import PurePosixPath
from typing import IO

_MAX_RATIO = 200  # unpacked to packed size; images hardly shrink, labels some ten times
_RATIO_MATTERS = 1 << 20  # bytes
_MAX_DIRECTORY = 256 << 20  # bytes; ImageNet's 1.28 million entries take 0.1e9


def directory_refusal(file: IO[bytes], most: int) -> str:
    """Why a directory of more than `most` entries is not read, as in "has a directory of …"; or "".

    zipfile would read it whole, and keep objects of some 500 bytes an entry.
    """
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined] # as zipfile itself finds it
    if end is None:  # no archive, which zipfile will say
        return ""
    entries, size = end[zipfile._ECD_ENTRIES_TOTAL], end[zipfile._ECD_SIZE]  # type: ignore[attr-defined]
    if entries > most or size > _MAX_DIRECTORY:
        return (
            f"has a directory of {entries:,} entries in {size:,} bytes; at most {most:,} in "
            f"{_MAX_DIRECTORY:,} are read: divide it, or unpack it into a folder"
        )
    return ""


def entry_refusal(entry: zipfile.ZipInfo, most_bytes: int) -> str:
    """Why an entry is not read, as in "leads outside the archive"; or ""."""
    name = entry.filename
    if name.startswith("/") or "\\" in name or ".." in PurePosixPath(name).parts:
        return "leads outside the archive"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "is a symbolic link; put the file itself there"
    if entry.flag_bits & 1:
        return "is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is neither stored nor deflated; pack the archive with the usual method"
    if entry.file_size > most_bytes:
        return f"claims {entry.file_size:,} bytes; at most {most_bytes:,} are read"
    if entry.file_size > max(_RATIO_MATTERS, _MAX_RATIO * entry.compress_size):
        return f"unpacks {entry.compress_size:,} bytes to {entry.file_size:,}: no image does"
    return ""
