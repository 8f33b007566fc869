"""Look at every image of a data set once: a card, and a picture of some of its images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from simcore.checkpoint import write_atomically
from simcore.dataset_card import CARD, SAMPLES, DatasetCard
from simcore.datasets.image_sets import Dataset, Images
from simcore.images import from_uint8, grid_columns, save_grid

_BATCH = 64
_SHOWN = 64
_COLUMNS = range(6, 17)  # numbers of classes that get a column each


def decode_all(data: Dataset) -> Iterator[int]:
    """Decode every image, yielding how many were decoded so far. Raises DatasetError naming one that is damaged."""
    done = 0
    for images in (data.train, data.heldout):
        for batch in images.pixel_batches(_BATCH):
            done += len(batch)
            yield done


def describe(data: Dataset, kind: str, sha256: str, size: int) -> DatasetCard:
    """The card of a data set; decodes nothing."""
    return DatasetCard(
        name=data.name,
        reference=data.reference,
        kind=kind,
        image_shape=data.image_shape,
        train_count=len(data.train),
        heldout_count=len(data.heldout),
        split=data.split,
        classes=data.classes,
        class_names=data.class_names,
        class_counts=tuple(torch.bincount(_labels(data), minlength=data.classes).tolist()) if data.classes else (),
        licence=data.licence,
        source=data.source,
        sha256=sha256,
        size=size,
    )


def content_hash(data: Dataset) -> tuple[str, int]:
    """(sha256 of all pixels and labels in order, bytes of the pixels): for sets that are no file."""
    digest, size = hashlib.sha256(), 0
    for images in (data.train, data.heldout):
        for batch in images.pixel_batches(_BATCH):
            digest.update(batch.numpy().tobytes())
            size += batch.numel()
    digest.update(_labels(data).numpy().tobytes())
    return digest.hexdigest(), size


def write_card(folder: Path, card: DatasetCard, data: Dataset) -> None:
    """Write `dataset.json` and `samples.png` into the folder. Raises OSError, DatasetError."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = _chosen(data.train, data.classes)
    columns = grid_columns(len(chosen), data.classes if data.classes in _COLUMNS else 0)
    save_grid(folder / SAMPLES, from_uint8(data.train.pixels(chosen)), columns)
    write_atomically(folder / CARD, (card.model_dump_json(indent=2) + "\n").encode())


def _labels(data: Dataset) -> Tensor:
    parts = [images.labels for images in (data.train, data.heldout) if images.labels is not None]
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)


def _chosen(images: Images, classes: int) -> Tensor:
    """Indices of some images: one class a column where that is feasible, else spread over the set."""
    if images.labels is not None and classes in _COLUMNS:
        rows = max(1, _SHOWN // classes)
        each = [torch.nonzero(images.labels == number).flatten()[:rows] for number in range(classes)]
        if rows := min(len(found) for found in each):
            return torch.stack([found[:rows] for found in each], dim=1).flatten()
    return torch.linspace(0, len(images) - 1, min(_SHOWN, len(images))).long()
