"""Exponential moving average of weights, its half-life counted in images. As in EDM and SiD."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

from simcore.config import EmaSpec

Module = TypeVar("Module", bound=nn.Module)


def ema_decay(spec: EmaSpec, images_seen: int, batch_size: int) -> float:
    """The share of the old average that one update of `batch_size` images keeps.

    The half-life is `half_life_kimg` thousand images, at most `ramp_up` of the images seen so far (0: no limit).
    A half-life of 0 keeps nothing: the average is the weights themselves.
    """
    half_life = spec.half_life_kimg * 1000
    if spec.ramp_up:
        half_life = min(half_life, images_seen * spec.ramp_up)
    return float(0.5 ** (batch_size / half_life)) if half_life > 0 else 0.0


def average_copy(module: Module) -> Module:
    """A frozen copy of the module, to be the average."""
    return copy.deepcopy(module).eval().requires_grad_(False)


@torch.no_grad()
def update_average(average: nn.Module, module: nn.Module, decay: float) -> None:
    """average ← decay·average + (1 − decay)·module, parameter by parameter."""
    for mean, value in zip(average.parameters(), module.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)
