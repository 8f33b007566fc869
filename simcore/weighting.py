"""Weights of the losses over the noise level (paper B.7, Table 5)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

SIGMA_DATA = 0.5


def edm(t: Tensor) -> Tensor:
    """λ_EDM(t) = (t² + σ_data²) / (t·σ_data)², the inverse of c_out² (B.7). Any shape."""
    return (t**2 + SIGMA_DATA**2) / (t * SIGMA_DATA) ** 2


def none(t: Tensor) -> Tensor:
    """1 everywhere: the paper's choice for the student (Table 5)."""
    return torch.ones_like(t)


WEIGHTINGS: dict[str, Callable[[Tensor], Tensor]] = {"edm": edm, "none": none}
