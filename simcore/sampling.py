"""Samplers: the teacher's deterministic Heun and the student's single step."""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from simcore.objectives import Denoiser

RHO = 7
SIGMA_MIN, SIGMA_MAX = 0.002, 80.0


class SteppedDenoiser(Protocol):
    """A denoiser with a range of noise levels."""

    sigma_min: float
    sigma_max: float

    def round_sigma(self, sigma: Tensor) -> Tensor: ...

    def __call__(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor: ...


def heun_times(denoiser: SteppedDenoiser, steps: int, device: torch.device) -> Tensor:
    """t_0 > … > t_{N−1} > t_N = 0, float64 [steps + 1] (EDM, equation 5, ρ = 7).

    From 80 to 0.002 or what of that the denoiser knows, each rounded to a level it knows. ValueError under one step.
    """
    if steps < 1:
        raise ValueError(f"Heun's sampler takes at least 1 step, not {steps}")
    low, high = max(SIGMA_MIN, denoiser.sigma_min), min(SIGMA_MAX, denoiser.sigma_max)
    ramp = torch.arange(steps, dtype=torch.float64, device=device) / max(steps - 1, 1)
    times = (high ** (1 / RHO) + ramp * (low ** (1 / RHO) - high ** (1 / RHO))) ** RHO
    return torch.cat([denoiser.round_sigma(times), times.new_zeros(1)])


@torch.no_grad()
def heun(denoiser: SteppedDenoiser, latents: Tensor, labels: Tensor | None = None, steps: int = 18) -> Tensor:
    """EDM Algorithm 2 without churn: 2·steps − 1 evaluations, state in float64.

    latents: unit normal [B, C, H, W]; labels: one-hot [B, label_dim] or None. Returns images, float32.
    """
    times = heun_times(denoiser, steps, latents.device)
    x = latents.to(torch.float64) * times[0]

    def slope(x: Tensor, t: Tensor) -> Tensor:
        return (x - denoiser(x.float(), t.float(), labels).double()) / t

    for now, after in pairwise(times):
        first = slope(x, now)
        euler = x + (after - now) * first
        x = euler if after == 0 else x + (after - now) * (first + slope(euler, after)) / 2
    return x.float()


def one_step(generator: Denoiser, latents: Tensor, labels: Tensor | None, init_sigma: float) -> Tensor:
    """g(z) = d(t*·latents, t*) with unit-normal latents [B, C, H, W] (B.4). Keeps the graph."""
    sigma = latents.new_tensor(init_sigma)
    return generator(latents * sigma, sigma, labels)


def one_hot(classes: Tensor, label_dim: int) -> Tensor | None:
    """Class numbers [B] → one-hot rows [B, label_dim], None for an unconditional network."""
    return torch.nn.functional.one_hot(classes, label_dim).float() if label_dim else None


def balanced_classes(count: int, label_dim: int) -> Tensor:
    """`count` class numbers in turn: 0, 1, …, label_dim − 1, 0, … [count]."""
    return torch.arange(count) % max(label_dim, 1)
