"""Closed forms: Gaussians under noise, and points with which averages over them are nearly exact."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from simcore.objectives import Denoiser

T_STAR = 2.5


def gaussian_denoiser(mean: Tensor, covariance: Tensor) -> Denoiser:
    """E[x_0 | x_t] for x_0 ~ N(mean, covariance), of points [B, D]: m + Σ(Σ + t²I)⁻¹(x_t − m)."""
    identity = torch.eye(len(mean), dtype=mean.dtype)

    def denoise(x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        levels, inverse = t.unique(return_inverse=True)
        gains = torch.stack([covariance @ torch.linalg.inv(covariance + level**2 * identity) for level in levels])
        return mean + torch.einsum("bij,bj->bi", gains[inverse], x - mean)

    return denoise


def student_covariance(matrix: Tensor) -> Tensor:
    """Of g(z) = A z + b with z ~ N(0, t*² I)."""
    return T_STAR**2 * matrix @ matrix.T


def blocks_of_normals(dimension: int, points: int, blocks: int) -> Iterator[Tensor]:
    """Blocks of unit normals [points, dimension], each a Sobol sequence scrambled on its own.

    Block averages are unbiased and independent, so that their spread is their error, and far less than with plain
    random points.
    """
    for seed in range(blocks):
        uniform = torch.quasirandom.SobolEngine(dimension, scramble=True, seed=seed).draw(points, dtype=torch.float64)
        yield torch.special.ndtri(uniform.clamp(2.0**-32, 1 - 2.0**-32))
