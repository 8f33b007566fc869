"""What a file is, told by its first bytes and never by its name. Torch-free; nothing is unpacked or unpickled."""

from __future__ import annotations

import re
from typing import Literal

FileKind = Literal["edm_pickle", "state_dict", "safetensors", "images_zip", "cifar_archive"]
TEACHER_KINDS: tuple[FileKind, ...] = ("edm_pickle", "state_dict", "safetensors")
SUFFIXES: dict[FileKind, str] = {
    "edm_pickle": ".pkl",
    "state_dict": ".pt",
    "safetensors": ".safetensors",
    "images_zip": ".zip",
    "cifar_archive": ".tar.gz",
}
HEAD = 512  # bytes that are enough

_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_ZIP, _GZIP = b"PK\x03\x04", b"\x1f\x8b\x08"


class UnknownFile(ValueError):
    """A file of no kind that is read; the message says what it starts with and what would be right."""


def file_kind(head: bytes) -> FileKind:
    """The kind of a file that starts with `head` (HEAD bytes, or all of a shorter one). Raises UnknownFile."""
    if _PICKLE.match(head):
        return "edm_pickle"
    if head.startswith(_ZIP):
        return "state_dict" if _first_entry(head).endswith(b"/data.pkl") else "images_zip"
    if head.startswith(_GZIP):
        return "cifar_archive"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 30:
        return "safetensors"
    raise UnknownFile(
        f"it starts with {head[:8]!r}: read are EDM checkpoints (.pkl), .safetensors, a state_dict (.pt), a .zip of "
        "images and CIFAR-10's .tar.gz"
    )


def _first_entry(head: bytes) -> bytes:
    """The name of a zip archive's first entry; torch.save puts data.pkl there."""
    return head[30 : 30 + int.from_bytes(head[26:28], "little")]
