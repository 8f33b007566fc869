"""Distances d between denoisers and their gradients d' (paper Table 4, A.3).

The rule that settles the table's slips: d' is the gradient of d. y is [B, …]; sums and norms are over whole samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from simcore.config import ObjectiveSpec


@dataclass(frozen=True)
class Distance:
    """A distance over whole samples: `value` maps y [B, C, H, W] to [B], `gradient` is its derivative, of y's shape."""

    value: Callable[[Tensor], Tensor]
    gradient: Callable[[Tensor], Tensor]


class DistanceOverflow(ArithmeticError):
    """A distance is too large for the floating-point type."""


def squared_l2() -> Distance:
    """d(y) = ‖y‖² and d'(y) = 2y."""
    return Distance(value=lambda y: _total(y.square()), gradient=lambda y: 2 * y)


def power(alpha: int) -> Distance:
    """d(y) = ‖y‖_α^α and d'(y) = α·y^(α−1), element by element; α is even."""
    return Distance(value=lambda y: _total(y**alpha), gradient=lambda y: alpha * y ** (alpha - 1))


def exp_power(alpha: int, beta: float) -> Distance:
    """d(y) = exp(β‖y‖_α^α) − 1 and d'(y) = αβ·exp(β‖y‖_α^α)·y^(α−1); α is even. Both raise DistanceOverflow.

    Table 4 lacks the factor β in d'.
    """
    base = power(alpha)

    def exponent(y: Tensor) -> Tensor:
        exponent = beta * base.value(y)
        largest, limit = exponent.max().item(), math.log(torch.finfo(y.dtype).max)
        if largest > limit:
            raise DistanceOverflow(f"its exponent β·‖y‖^α is {largest:.3g}, more than {limit:.3g}")
        return exponent

    return Distance(
        value=lambda y: exponent(y).expm1(),
        gradient=lambda y: beta * _per_sample(exponent(y).exp(), y) * base.gradient(y),
    )


def l1() -> Distance:
    """d(y) = ‖y‖_1 and d'(y) = sign(y).

    sign jumps, and the theorem needs an absolutely continuous d': the student's gradient misses what the jumps
    contribute, for all parameters but a shift of the images.
    """
    return Distance(value=lambda y: _total(y.abs()), gradient=lambda y: y.sign())


def huber(delta: float) -> Distance:
    """d(y) = Σ y²/2 where |y| ≤ δ, else δ(|y| − δ/2); d'(y) = y, else δ·sign(y). A.3 prints the cases swapped."""

    def value(y: Tensor) -> Tensor:
        inner = y.clamp(-delta, delta)
        return _total(inner * (y - inner / 2))

    return Distance(value=value, gradient=lambda y: y.clamp(-delta, delta))


def pseudo_huber(c: float) -> Distance:
    """d(y) = √(‖y‖² + c²) − c and d'(y) = y / √(‖y‖² + c²), the norm over the whole sample.

    Table 4 shows constant factors 2 and −2·2, Algorithm 2 shows 1: 1 here, so that d' is d's gradient.
    """

    def root(y: Tensor) -> Tensor:
        return (_total(y.square()) + c**2).sqrt()

    return Distance(value=lambda y: root(y) - c, gradient=lambda y: y / _per_sample(root(y), y))


def _total(y: Tensor) -> Tensor:
    return y.flatten(1).sum(1)


def _per_sample(values: Tensor, y: Tensor) -> Tensor:
    return values.view(-1, *[1] * (y.dim() - 1))


def _resolved_pseudo_huber(spec: ObjectiveSpec) -> Distance:
    if spec.pseudo_huber_c is None:
        raise ValueError("the specification is not resolved: objective.pseudo_huber_c is empty")
    return pseudo_huber(spec.pseudo_huber_c)


DISTANCES: dict[str, Callable[[ObjectiveSpec], Distance]] = {
    "pseudo_huber": _resolved_pseudo_huber,
    "squared_l2": lambda spec: squared_l2(),
    "power": lambda spec: power(spec.power_alpha),
    "exp_power": lambda spec: exp_power(spec.power_alpha, spec.exp_beta),
    "l1": lambda spec: l1(),
    "huber": lambda spec: huber(spec.huber_delta),
}
