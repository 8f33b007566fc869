"""Preconditioning: from a raw network F to a denoiser D. Source: EDM, Table 1."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from simcore.noise_levels import BETA_D, BETA_MIN, VE_RANGE, VP_RANGE, iddpm_levels, vp_levels, vp_sigma

Coefficients = tuple[Tensor, Tensor, Tensor, Tensor]


class EDMPrecond(nn.Module):
    """D(x, σ) = c_skip·x + c_out·F(c_in·x, c_noise, labels), with EDM's coefficients; the others override these.

    Everything outside F is float32. `sigma_min` and `sigma_max` bound the noise levels the denoiser accepts.
    `network_channels` is how many channels F has to give for each channel of the image; the first part counts.
    `arguments` names what a teacher's configuration has to say besides.
    """

    sigma_min = 0.0
    sigma_max = math.inf
    network_channels = 1
    arguments: tuple[str, ...] = ()

    def __init__(self, model: nn.Module, sigma_data: float = 0.5) -> None:
        super().__init__()
        self.model = model
        self.sigma_data = sigma_data

    def coefficients(self, sigma: Tensor) -> Coefficients:
        """σ → (c_skip, c_out, c_in, c_noise), each of σ's shape."""
        total = sigma**2 + self.sigma_data**2
        return self.sigma_data**2 / total, sigma * self.sigma_data * total.rsqrt(), total.rsqrt(), sigma.log() / 4

    def round_sigma(self, sigma: Tensor) -> Tensor:
        """The nearest noise level the denoiser knows: here any."""
        return sigma

    def forward(
        self, x: Tensor, sigma: Tensor, labels: Tensor | None = None, augment_labels: Tensor | None = None
    ) -> Tensor:
        """x [B, C, H, W], σ [] or [B], labels one-hot [B, label_dim] or None → denoised [B, C, H, W].

        augment_labels: [B, augment_dim], for networks that were built with them.
        """
        x = x.to(torch.float32)
        sigma = sigma.to(torch.float32).expand(x.shape[0])
        c_skip, c_out, c_in, c_noise = self.coefficients(sigma.view(-1, 1, 1, 1))
        augmentation = {} if augment_labels is None else {"augment_labels": augment_labels}
        raw: Tensor = self.model(c_in * x, c_noise.flatten(), labels, **augmentation)
        return c_skip * x + c_out * raw[:, : x.shape[1]].to(torch.float32)


def vp_time(sigma: Tensor) -> Tensor:
    """t(σ), the inverse of σ(t), in a form without cancellation at small σ."""
    log = torch.log1p(sigma**2)
    return 2 * log / (vp_beta(sigma) + BETA_MIN)


def vp_beta(sigma: Tensor) -> Tensor:
    """β(t) = βd·t + βmin, the squared rate g² of the noise, at the t where σ(t) = σ."""
    return (BETA_MIN**2 + 2 * BETA_D * torch.log1p(sigma**2)).sqrt()


class VPPrecond(EDMPrecond):
    """Variance-preserving: t from 1e-5 to 1; F sees 999·t(σ)."""

    sigma_min, sigma_max = VP_RANGE

    def coefficients(self, sigma: Tensor) -> Coefficients:
        return torch.ones_like(sigma), -sigma, (sigma**2 + 1).rsqrt(), 999 * vp_time(sigma)


class DiscreteVPPrecond(EDMPrecond):
    """The discrete variance-preserving diffusion of the paper's toy (A.2): F knows the steps 1 … T − 1.

    F sees t/T and gives σ_t times the score, so −ε (Listing 1). T = `steps`; the schedule β is VPPrecond's, which is
    our choice: A.2 gives none.
    """

    arguments = ("steps",)

    def __init__(self, model: nn.Module, steps: int) -> None:
        super().__init__(model)
        if type(steps) is not int or steps < 2:
            raise ValueError(f"steps has to be a whole number from 2, not {steps!r}")
        self.steps = steps
        self.sigma_min, self.sigma_max = vp_sigma(1 / steps), vp_sigma((steps - 1) / steps)

    def step(self, sigma: Tensor) -> Tensor:
        """The step t in 1 … T − 1 nearest to σ, of σ's shape and type."""
        return (self.steps * vp_time(sigma)).round().clamp(1, self.steps - 1)

    def round_sigma(self, sigma: Tensor) -> Tensor:
        levels = torch.tensor(vp_levels(self.steps), dtype=sigma.dtype, device=sigma.device)
        return levels[self.step(sigma).long() - 1]

    def coefficients(self, sigma: Tensor) -> Coefficients:
        return torch.ones_like(sigma), sigma, (sigma**2 + 1).rsqrt(), self.step(sigma) / self.steps


class VEPrecond(EDMPrecond):
    """Variance-exploding: F sees ln(σ/2)."""

    sigma_min, sigma_max = VE_RANGE

    def coefficients(self, sigma: Tensor) -> Coefficients:
        one = torch.ones_like(sigma)
        return one, sigma, one, (sigma / 2).log()


class IDDPMPrecond(EDMPrecond):
    """Improved DDPM: F knows 1,000 noise levels and sees their number; of its 2·C channels the first C count."""

    network_channels = 2
    levels: Tensor

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.register_buffer("levels", torch.tensor(iddpm_levels(), dtype=torch.float32), persistent=False)
        self.sigma_min, self.sigma_max = float(self.levels[-2]), float(self.levels[0])

    def level(self, sigma: Tensor) -> Tensor:
        """The index of the level nearest to σ, of σ's shape."""
        return (sigma.unsqueeze(-1).to(torch.float32) - self.levels).abs().argmin(-1)

    def round_sigma(self, sigma: Tensor) -> Tensor:
        return self.levels[self.level(sigma)].to(sigma.dtype)

    def coefficients(self, sigma: Tensor) -> Coefficients:
        number = (999 - self.level(sigma)).to(sigma.dtype)
        return torch.ones_like(sigma), -sigma, (sigma**2 + 1).rsqrt(), number
