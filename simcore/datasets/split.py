"""The fixed split of data sets that come without one."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

HELDOUT_SHARE = 0.2
_SEED = 0


def split(count: int, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """Indices of the training and of the held-out images, class-balanced where there are labels [count].

    The same for the same count and labels. Raises ValueError where the set, or a class, is too small.
    """
    stratify = None if labels is None else labels.numpy()
    train, heldout = train_test_split(np.arange(count), test_size=HELDOUT_SHARE, random_state=_SEED, stratify=stratify)
    return torch.from_numpy(train), torch.from_numpy(heldout)
