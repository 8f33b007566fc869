"""Data sets as files, in every layout that is read."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def random_pixels(count: int, shape: tuple[int, int, int] = (3, 8, 8), seed: int = 0) -> Pixels:
    """[N, C, H, W]"""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def picture(pixels: Pixels) -> Image.Image:
    """[C, H, W] as an image, grey or RGB."""
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def encoded(image: Image.Image, kind: str = "PNG", **settings: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **settings)
    return content.getvalue()


def png(pixels: Pixels) -> bytes:
    return encoded(picture(pixels))


def named(pixels: Pixels) -> dict[str, bytes]:
    """PNG files in EDM's way of naming them, two to a folder."""
    return {f"{index // 2:05d}/img{index:08d}.png": png(image) for index, image in enumerate(pixels)}


def labels_file(labels: object) -> bytes:
    return json.dumps({"labels": labels}).encode()


def pairs(names: Sequence[str], labels: Sequence[int]) -> list[list[Any]]:
    return [[name, label] for name, label in zip(names, labels, strict=True)]


def write_zip(path: Path, files: Mapping[str, bytes], **settings: Any) -> Path:
    with zipfile.ZipFile(path, "w", **settings) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_folder(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def write_tar(path: Path, files: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


# CIFAR-10's batches were written by Python 2's cPickle, protocol 2; no Python 3 writes its strings, so this does.


def _string(content: bytes) -> bytes:
    short = len(content) < 256
    return (b"U" + bytes([len(content)]) if short else b"T" + struct.pack("<i", len(content))) + content


def _integer(number: int) -> bytes:
    if 0 <= number < 256:
        return b"K" + bytes([number])
    return b"M" + struct.pack("<H", number) if 0 <= number < 65536 else b"J" + struct.pack("<i", number)


def _list(items: Sequence[bytes], memo: int) -> bytes:
    chunks = [b"".join(items[start : start + 1000]) for start in range(0, len(items), 1000)]
    return b"]q" + bytes([memo]) + b"".join(b"(" + chunk + b"e" for chunk in chunks)


def batch_pickle(rows: Pixels, labels: Sequence[int], fortran: bool = False) -> bytes:
    """{'batch_label', 'labels', 'data', 'filenames'} of one batch; rows [N, 3072]."""
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85" + _string(b"b")
    array += b"q\x09\x87Rq\x0a"
    dtype = b"cnumpy\ndtype\nq\x0b" + _string(b"u1") + b"K\x00K\x01\x87Rq\x0c(K\x03" + _string(b"|")
    dtype += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"".join(map(_integer, rows.shape)) + b"\x86"
    state = b"(K\x01" + shape + dtype
    state += b"\x88" + _string(rows.tobytes("F")) if fortran else b"\x89" + _string(rows.tobytes())
    files = [_string(f"image_{index}.png".encode()) for index in range(len(rows))]
    return b"".join(
        [
            b"\x80\x02}q\x01(", _string(b"batch_label"), b"q\x02", _string(b"testing batch 1 of 1"), b"q\x03",
            _string(b"labels"), b"q\x04", _list([_integer(label) for label in labels], 5),
            _string(b"data"), b"q\x06", array, state, b"tb",
            _string(b"filenames"), b"q\x0d", _list(files, 14),
            b"u.",
        ]
    )  # fmt: skip


BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


def cifar_batches(count: int = 4) -> dict[str, tuple[Pixels, list[int]]]:
    """Six batches of random images: (rows [N, 3072], labels)."""
    rows = random_pixels(6 * count, (3, 32, 32)).reshape(6, count, -1)
    return {name: (rows[i], [(i + j) % 10 for j in range(count)]) for i, name in enumerate(BATCHES)}


def as_python(batches: Mapping[str, tuple[Pixels, list[int]]]) -> dict[str, bytes]:
    return {f"cifar-10-batches-py/{name}": batch_pickle(*batch) for name, batch in batches.items()}


def as_binary(batches: Mapping[str, tuple[Pixels, list[int]]]) -> dict[str, bytes]:
    return {
        f"cifar-10-batches-bin/{name}.bin": np.column_stack([np.array(labels, np.uint8), rows]).tobytes()
        for name, (rows, labels) in batches.items()
    }
