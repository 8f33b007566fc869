"""CIFAR-10 as its authors publish it: `cifar-10-python.tar.gz`, `cifar-10-binary.tar.gz`, or either extracted."""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Iterator
from gzip import GzipFile
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray

from simcore.datasets.cifar_pickle import read_batch
from simcore.datasets.image_sets import DatasetError, ImageSet
from simcore.edm_pickle_scan import Refused

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SOURCE = "Data: CIFAR-10 (A. Krizhevsky, V. Nair, G. Hinton)"
SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_MAX_BATCH = 64 << 20  # bytes; a batch has 31 million
_MAX_ARCHIVE = 256 << 20  # bytes unpacked; the published ones have 186 million

TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
HELDOUT = "test_batch"


def is_cifar_folder(path: Path) -> bool:
    """Whether the folder is an extracted archive."""
    return (path / TRAIN[0]).is_file() or (path / f"{TRAIN[0]}.bin").is_file()


def load_cifar(path: Path) -> tuple[ImageSet, ImageSet]:
    """(training, test) images as uint8 in memory: 0.2 GB for the 60,000, twice that while reading.

    path: archive or folder.
    Raises DatasetError for what is not CIFAR-10, whole and undamaged; OSError.
    """
    files = _folder(path) if path.is_dir() else _archive(path)
    batches: dict[str, ImageSet] = {}
    for name, content in files:
        batch = name.removesuffix(".bin")
        if batch in (*TRAIN, HELDOUT):
            if batch in batches:
                raise DatasetError(f"{path} holds several files for {batch}")
            batches[batch] = _batch(path, name, content)
    if missing := [name for name in (*TRAIN, HELDOUT) if name not in batches]:
        raise DatasetError(f"{path} lacks {', '.join(missing)} of CIFAR-10: download it again")
    train = [batches[name] for name in TRAIN]
    labels = [batch.labels for batch in train if batch.labels is not None]
    return ImageSet(torch.cat([batch.images for batch in train]), torch.cat(labels)), batches[HELDOUT]


def _batch(path: Path, name: str, content: bytes) -> ImageSet:
    try:
        rows, labels = _binary(content) if name.endswith(".bin") else read_batch(content)
        if rows.shape[1] != _PIXELS or len(rows) != len(labels):
            raise Refused(f"{len(rows):,} × {rows.shape[1]:,} pixels for {len(labels):,} labels")
        if not len(rows):
            raise Refused("it holds no images")
        if not set(labels) <= set(range(len(CLASSES))):
            raise Refused(f"it has class {_stranger(labels)}; CIFAR-10 has 0 to 9")
    except Refused as error:
        raise DatasetError(f"{path}: cannot read '{name}': {error}") from None
    return ImageSet(torch.from_numpy(rows.reshape(-1, *SHAPE).copy()), torch.tensor(labels))


def _stranger(labels: list[int]) -> int:
    return next(label for label in labels if not 0 <= label < len(CLASSES))


def _binary(content: bytes) -> tuple[NDArray[np.uint8], list[int]]:
    """Records of one byte for the class and 3,072 for the pixels."""
    if len(content) % (1 + _PIXELS):
        raise Refused(f"its {len(content):,} bytes are no multiple of a record's {1 + _PIXELS:,}")
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + _PIXELS)
    return records[:, 1:], records[:, 0].tolist()


def _folder(path: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(path.iterdir()):
        if file.name.removesuffix(".bin") in (*TRAIN, HELDOUT):
            if file.is_symlink() or not file.is_file():
                raise DatasetError(f"{file} is not an ordinary file")
            with file.open("rb") as stream:
                yield file.name, _bounded(path, file.name, stream)


def _archive(path: Path) -> Iterator[tuple[str, bytes]]:
    """The files of the archive, wherever in it they lie, in one pass."""
    try:
        with GzipFile(path) as file, tarfile.open(fileobj=(unpacked := _Bounded(file)), mode="r|") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if name.removesuffix(".bin") not in (*TRAIN, HELDOUT):
                    continue
                stream = archive.extractfile(member) if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) else None
                if stream is None:
                    raise DatasetError(f"{path}: '{member.name}' is not an ordinary file")
                yield name, _bounded(path, member.name, stream)
            while unpacked.read(1 << 20):  # to the end, where the checksum is
                pass
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise DatasetError(f"{path} is not a .tar.gz archive, or it is damaged: {error}") from None


def _bounded(path: Path, name: str, stream: IO[bytes]) -> bytes:
    content = stream.read(_MAX_BATCH + 1)
    if len(content) > _MAX_BATCH:
        raise DatasetError(f"{path}: '{name}' has more than {_MAX_BATCH:,} bytes; a batch of CIFAR-10 has 31 million")
    return content


class _Bounded(io.RawIOBase):
    """A stream that ends with an error where it unpacks to more than any published archive."""

    def __init__(self, stream: GzipFile) -> None:
        self._stream, self._left = stream, _MAX_ARCHIVE

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        content = self._stream.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise tarfile.ReadError(f"it unpacks to more than {_MAX_ARCHIVE:,} bytes")
        return content
