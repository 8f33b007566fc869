"""Weights of the losses (paper B.7, B.11, Table 5, A.2)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from simcore.preconditioning import vp_beta

SIGMA_DATA = 0.5
SID_FLOOR = 1e-5

TimeWeighting = Callable[[Tensor], Tensor]
StudentWeighting = Callable[[Tensor, Tensor, Tensor], Tensor]


def edm(t: Tensor) -> Tensor:
    """λ_EDM(t) = (t² + σ_data²) / (t·σ_data)², the inverse of c_out² (B.7). Any shape."""
    return (t**2 + SIGMA_DATA**2) / (t * SIGMA_DATA) ** 2


def vp(t: Tensor) -> Tensor:
    """β·(1 + t²)/t⁴: Listing 1's T·g²_t·‖s − ∇log q(x_t|x_0)‖² in terms of denoisers (A.2). Any shape.

    T·g²_t is the variance-preserving diffusion's β; there the scores differ by (d − x_0)/(t·σ_t), σ_t² = t²/(1 + t²).
    """
    return vp_beta(t) * (1 + t**2) / t**4


def epsilon(t: Tensor) -> Tensor:
    """1/t²: the squared error of the noise ε, which a DDPM learns by. Any shape."""
    return 1 / t**2


def none(t: Tensor) -> Tensor:
    """1 everywhere: the paper's choice for the student (Table 5)."""
    return torch.ones_like(t)


def sid(t: Tensor, images: Tensor, denoised: Tensor) -> Tensor:
    """1 / mean|x_0 − d_q(x_t)| for each sample, [B], a constant to the gradient; the mean is at least 1e-5 (B.11).

    B.11's C·t⁴/‖·‖_1 weighs scores; here denoisers are compared, and the t⁴ cancels.
    """
    return 1 / (images - denoised).detach().abs().flatten(1).mean(1).clamp(min=SID_FLOOR)


def _of_time(weighting: TimeWeighting) -> StudentWeighting:
    return lambda t, images, denoised: weighting(t)


WEIGHTINGS: dict[str, TimeWeighting] = {"edm": edm, "vp": vp, "epsilon": epsilon, "none": none}

# Of t [B], the student's images x_0 and the teacher's denoised d_q(x_t), both [B, C, H, W].
STUDENT_WEIGHTINGS: dict[str, StudentWeighting] = {name: _of_time(w) for name, w in WEIGHTINGS.items()} | {"sid": sid}
