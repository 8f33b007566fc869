"""Images that stay encoded in their store, and are decoded one at a time when asked for."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import PurePosixPath

import torch
from torch import Tensor

from simcore.datasets.decoding import BadImage, decode, read_shape
from simcore.datasets.image_sets import DatasetError, Images, Shape, take
from simcore.datasets.labels import LABELS_FILE, BadLabels, folder_classes, parse_labels
from simcore.datasets.stores import FolderStore, Store, size_limit

_READ = {".png", ".jpg", ".jpeg"}
_NOT_READ = {".bmp", ".gif", ".heic", ".npy", ".ppm", ".tif", ".tiff", ".webp"}
_UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, KeyError)


class EncodedImages(Images):
    """Images of one shape in a store, by name."""

    def __init__(self, store: Store, names: Sequence[str], shape: Shape, labels: Tensor | None) -> None:
        self.image_shape, self.labels = shape, labels
        self._store, self._names = store, names

    def __len__(self) -> int:
        return len(self._names)

    def pixels(self, indices: Tensor) -> Tensor:
        found = torch.empty(len(indices), *self.image_shape, dtype=torch.uint8)
        for place, index in enumerate(indices.tolist()):
            found[place] = self._decode(self._names[index])
        return found

    def subset(self, indices: Tensor) -> EncodedImages:
        names = [self._names[index] for index in indices.tolist()]
        return EncodedImages(self._store, names, self.image_shape, take(self.labels, indices))

    def _decode(self, name: str) -> Tensor:
        try:
            pixels = decode(_read(self._store, name))
        except BadImage as error:
            raise DatasetError(f"{self._store.path}: cannot read '{name}': {error}") from None
        if pixels.shape != self.image_shape:
            raise DatasetError(f"{self._store.path}: '{name}' has changed since the data set was opened")
        return torch.from_numpy(pixels)


def open_store(store: Store) -> tuple[EncodedImages, tuple[str, ...]]:
    """(the images in their names' order, the classes' names if known). Only headers are read, and the labels.

    Labels come from `dataset.json` at the root; in a folder without it from the first-level folders' names.
    Raises DatasetError for an empty set, images of several shapes or unreadable kinds, and labels that do not fit.
    """
    names = _image_names(store)
    shape = _common_shape(store, names)
    if LABELS_FILE in store.names:
        try:
            return EncodedImages(store, names, shape, parse_labels(_read(store, LABELS_FILE), names)), ()
        except (BadImage, BadLabels) as error:
            raise DatasetError(f"{store.path}: cannot use '{LABELS_FILE}': {error}") from None
    if isinstance(store, FolderStore) and (classes := folder_classes(names)):
        return EncodedImages(store, names, shape, classes[0]), classes[1]
    return EncodedImages(store, names, shape, None), ()


def _image_names(store: Store) -> list[str]:
    found = []
    for name in sorted(store.names):
        path = PurePosixPath(name)
        if any(part.startswith(".") or part == "__MACOSX" for part in path.parts):
            continue
        if path.suffix.lower() in _NOT_READ:
            raise DatasetError(f"{store.path}: '{name}' is no PNG or JPEG image; convert it to PNG, or take it out")
        if path.suffix.lower() in _READ:
            found.append(name)
    if not found:
        raise DatasetError(f"{store.path} holds no images (.png, .jpg)")
    return found


def _common_shape(store: Store, names: Sequence[str]) -> Shape:
    first = _shape(store, names[0])
    for name in names[1:]:
        shape = _shape(store, name)
        if shape != first:
            raise DatasetError(
                f"{store.path}: the images differ: '{names[0]}' is {_show(first)}, '{name}' is {_show(shape)}"
            )
    return first


def _shape(store: Store, name: str) -> Shape:
    try:
        with store.open(name) as file:
            return read_shape(file)
    except (BadImage, *_UNREADABLE) as error:
        raise DatasetError(f"{store.path}: cannot read '{name}': {_reason(error)}") from None


def _read(store: Store, name: str) -> bytes:
    """A file's whole content, its checksum verified where there is one. Raises BadImage where it cannot be read."""
    try:
        with store.open(name) as file:
            # Without a bound, zipfile would unpack all that an entry holds, whatever it claims.
            return file.read(size_limit(name) + 1)
    except _UNREADABLE as error:
        raise BadImage(_reason(error)) from None


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _show(shape: Shape) -> str:
    channels, height, width = shape
    return f"{width}×{height} {'grey' if channels == 1 else 'RGB'}"
