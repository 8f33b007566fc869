"""What every data set offers: images of one shape, read by index, and a fixed split of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from simcore.images import from_uint8, to_uint8

Shape = tuple[int, int, int]
MEMORY_LIMIT = 1 << 30  # bytes of decoded pixels that training may keep; CIFAR-10's 50,000 images take 0.15e9

_BATCH = 16


class DatasetError(ValueError):
    """A data set cannot be found or read; the message is one line: where, what, and what would be right."""


class Images(TorchDataset[tuple[Tensor, int | None]], ABC):
    """Images of one shape (channels, height, width), with labels [N] (int64, 0 … classes − 1) or None.

    Item i is (uint8 [C, H, W], its label or None), decoded when it is asked for.
    """

    image_shape: Shape
    labels: Tensor | None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def pixels(self, indices: Tensor) -> Tensor:
        """uint8 [B, C, H, W], 0..255. Raises DatasetError for an image that cannot be decoded."""

    @abstractmethod
    def subset(self, indices: Tensor) -> Images:
        """The images at `indices` [M], in that order."""

    def batch(self, indices: Tensor) -> Tensor:
        """float [B, C, H, W] in [−1, 1]."""
        return from_uint8(self.pixels(indices))

    def __getitem__(self, index: int) -> tuple[Tensor, int | None]:
        index = range(len(self))[index]
        return self.pixels(torch.tensor([index]))[0], None if self.labels is None else int(self.labels[index])

    def pixel_batches(self, size: int) -> Iterator[Tensor]:
        """All images in order, uint8 [≤ size, C, H, W] at a time."""
        for indices in torch.split(torch.arange(len(self)), size):
            yield self.pixels(indices)


class ImageSet(Images):
    """Images in memory [N, C, H, W]: uint8 pixels, or floats in [−1, 1]."""

    def __init__(self, images: Tensor, labels: Tensor | None = None) -> None:
        channels, height, width = images.shape[1:]
        self.image_shape = channels, height, width
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def pixels(self, indices: Tensor) -> Tensor:
        chosen = self.images[indices]
        return chosen if chosen.dtype == torch.uint8 else to_uint8(chosen)

    def batch(self, indices: Tensor) -> Tensor:
        chosen = self.images[indices]
        return from_uint8(chosen) if chosen.dtype == torch.uint8 else chosen

    def subset(self, indices: Tensor) -> ImageSet:
        return ImageSet(self.images[indices], take(self.labels, indices))


def take(labels: Tensor | None, indices: Tensor) -> Tensor | None:
    """The labels [M] at `indices`, if there are labels."""
    return None if labels is None else labels[indices]


def for_training(images: Images, limit: int = MEMORY_LIMIT) -> Images:
    """All images decoded once into memory where they take at most `limit` bytes, else as they are: read at every use.

    Decoding all of them finds a damaged one before training starts. Raises DatasetError naming it.
    """
    if isinstance(images, ImageSet) or len(images) * torch.Size(images.image_shape).numel() > limit:
        return images
    pixels = torch.empty(len(images), *images.image_shape, dtype=torch.uint8)
    start = 0
    for batch in images.pixel_batches(_BATCH):
        pixels[start : start + len(batch)] = batch
        start += len(batch)
    return ImageSet(pixels, images.labels)


@dataclass(frozen=True)
class Dataset:
    """A data set with its fixed split.

    split: "published" where the images come divided, "simcore" where the division is ours, for teachers trained here.
    classes: 0 without labels. reference: what `load_dataset` takes, from any working directory.
    source, licence: of the data and of weights trained on them, for the cards.
    """

    name: str
    classes: int
    train: Images
    heldout: Images
    reference: str
    source: str
    licence: str
    class_names: tuple[str, ...] = ()
    split: Literal["published", "simcore"] = "simcore"

    @property
    def image_shape(self) -> Shape:
        return self.train.image_shape

    def __str__(self) -> str:
        shape = "×".join(map(str, self.image_shape))
        labels = f"{self.classes} classes" if self.classes else "no labels"
        names = f" ({', '.join(self.class_names[:10])}{', …' if self.classes > 10 else ''})" if self.class_names else ""
        return (
            f"{self.name}: {len(self.train):,} training and {len(self.heldout):,} held-out images, "
            f"{shape}, {labels}{names}"
        )
