"""Preconditioning: from a raw network F to a denoiser D. Source: EDM, Table 1."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class EDMPrecond(nn.Module):
    """D(x, σ) = c_skip·x + c_out·F(c_in·x, c_noise, labels), with EDM's coefficients.

    Everything outside F is float32. `sigma_min` and `sigma_max` bound the noise levels the denoiser accepts.
    """

    sigma_min = 0.0
    sigma_max = math.inf

    def __init__(self, model: nn.Module, sigma_data: float = 0.5) -> None:
        super().__init__()
        self.model = model
        self.sigma_data = sigma_data

    def coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """σ → (c_skip, c_out, c_in, c_noise), each of σ's shape."""
        total = sigma**2 + self.sigma_data**2
        return self.sigma_data**2 / total, sigma * self.sigma_data * total.rsqrt(), total.rsqrt(), sigma.log() / 4

    def round_sigma(self, sigma: Tensor) -> Tensor:
        """The nearest noise level the denoiser knows: here any."""
        return sigma

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """x [B, C, H, W], σ [] or [B], labels one-hot [B, label_dim] or None → denoised [B, C, H, W]."""
        x = x.to(torch.float32)
        sigma = sigma.to(torch.float32).expand(x.shape[0])
        c_skip, c_out, c_in, c_noise = self.coefficients(sigma.view(-1, 1, 1, 1))
        raw: Tensor = self.model(c_in * x, c_noise.flatten(), labels)
        return c_skip * x + c_out * raw
