"""Laws of the noise level t (paper B.5, B.9)."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

# ln t ~ N(mean, std²)
LAWS: dict[str, tuple[float, float]] = {"edm": (-1.2, 1.2), "sim": (-3.5, 2.5)}

UNBOUNDED_MIN, UNBOUNDED_MAX = 0.002, 80.0


class Bounded(Protocol):
    """Anything with a range of noise levels: a denoiser."""

    sigma_min: float
    sigma_max: float


def sigma_range(denoiser: Bounded) -> tuple[float, float]:
    """The denoiser's range of σ, with [0.002, 80] where it is unbounded."""
    low = denoiser.sigma_min if denoiser.sigma_min > 0 else UNBOUNDED_MIN
    high = denoiser.sigma_max if math.isfinite(denoiser.sigma_max) else UNBOUNDED_MAX
    return low, high


def draw_times(law: str, count: int, bounds: tuple[float, float], generator: torch.Generator) -> Tensor:
    """Draw `count` noise levels [count] of the law, clamped to `bounds`."""
    mean, std = LAWS[law]
    normal = torch.randn(count, generator=generator, device=generator.device)
    return (mean + std * normal).exp().clamp(*bounds)


def clamped_share(law: str, bounds: tuple[float, float]) -> float:
    """The probability that a draw of the law lies outside `bounds`."""
    mean, std = LAWS[law]
    low, high = ((math.log(bound) - mean) / std / math.sqrt(2) for bound in bounds)
    return 0.5 * math.erfc(-low) + 0.5 * math.erfc(high)
