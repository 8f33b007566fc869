"""Distances d between denoisers and their gradients d' (paper Table 4, A.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Distance:
    """A distance over whole samples: `value` maps y [B, C, H, W] to [B], `gradient` is its derivative, of y's shape."""

    value: Callable[[Tensor], Tensor]
    gradient: Callable[[Tensor], Tensor]


def pseudo_huber(c: float) -> Distance:
    """d(y) = √(‖y‖² + c²) − c and d'(y) = y / √(‖y‖² + c²), the norm over the whole sample.

    Table 4 shows constant factors 2 and −2·2, Algorithm 2 shows 1: 1 here, so that d' is d's gradient.
    """

    def root(y: Tensor) -> Tensor:
        return (y.flatten(1).square().sum(1) + c**2).sqrt()

    return Distance(
        value=lambda y: root(y) - c,
        gradient=lambda y: y / root(y).view(-1, *[1] * (y.dim() - 1)),
    )
