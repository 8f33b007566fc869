"""What is wrong with an entry of a zip archive that somebody sent, by what the archive claims. Torch-free."""

from __future__ import annotations

import stat
import zipfile
from pathlib import PurePosixPath

_MAX_RATIO = 200  # unpacked to packed size; images hardly shrink, labels some ten times
_RATIO_MATTERS = 1 << 20  # bytes


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
