"""The denoising loss and the student's objectives. Each returns one value a sample, [B]: summed over pixels.

Denoisers are called `d(x, t, labels)`; images are [B, C, H, W], t is [B], labels are one-hot [B, label_dim] or None.
In the student's objectives `images` are x_0 = g_θ(z) with their graph; the parameters of ψ (`online`) and q (`teacher`)
are constants (A.5), which the caller sees to.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from simcore.config import ObjectiveSpec
from simcore.distances import DISTANCES, Distance
from simcore.weighting import STUDENT_WEIGHTINGS, StudentWeighting, TimeWeighting

Denoiser = Callable[[Tensor, Tensor, Tensor | None], Tensor]
# (images, t, noise, labels, online, teacher) → [B]
StudentLoss = Callable[[Tensor, Tensor, Tensor, Tensor | None, Denoiser, Denoiser], Tensor]


def add_noise(images: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """x_t = x_0 + t·ε (B.1)."""
    return images + t.view(-1, *[1] * (images.dim() - 1)) * noise


def denoising_loss(
    denoiser: Denoiser, images: Tensor, t: Tensor, noise: Tensor, labels: Tensor | None, weighting: TimeWeighting
) -> Tensor:
    """λ(t)·‖d(x_t, t) − x_0‖² (Algorithm 2, the step of ψ; also how a teacher is trained)."""
    error = denoiser(add_noise(images, t, noise), t, labels) - images
    return weighting(t) * error.square().flatten(1).sum(1)


def sim_loss(
    images: Tensor,
    t: Tensor,
    noise: Tensor,
    labels: Tensor | None,
    online: Denoiser,
    teacher: Denoiser,
    distance: Distance,
    weighting: StudentWeighting,
) -> Tensor:
    """w·Σ −d'(y_t)·(d_ψ(x_t, t) − x_0) with y_t = d_ψ − d_q (Algorithm 2, the step of θ; Theorem 3.1).

    The gradient flows through x_0 and x_t everywhere, d'(y_t) included.
    """
    noisy = add_noise(images, t, noise)
    fake, real = online(noisy, t, labels), teacher(noisy, t, labels)
    gradient = distance.gradient(fake - real)
    return weighting(t, images, real) * (-gradient * (fake - images)).flatten(1).sum(1)


def sid_loss(
    images: Tensor,
    t: Tensor,
    noise: Tensor,
    labels: Tensor | None,
    online: Denoiser,
    teacher: Denoiser,
    alpha: float,
    weighting: StudentWeighting,
) -> Tensor:
    """w·Σ (d_q − d_ψ)·[(d_q − x_0) − α(d_q − d_ψ)]: SiD, the paper's baseline (B.2).

    The gradient flows through x_0 and x_t everywhere. With α = 1 it is half of SIM with the squared L2 distance.
    """
    noisy = add_noise(images, t, noise)
    fake, real = online(noisy, t, labels), teacher(noisy, t, labels)
    difference = real - fake
    return weighting(t, images, real) * (difference * (real - images - alpha * difference)).flatten(1).sum(1)


def diff_instruct_loss(
    images: Tensor,
    t: Tensor,
    noise: Tensor,
    labels: Tensor | None,
    online: Denoiser,
    teacher: Denoiser,
    weighting: StudentWeighting,
) -> Tensor:
    """w·Σ sg[d_ψ − d_q]·x_0: Diff-Instruct, whose gradient is that of t²·KL(p_θ,t ‖ q_t)."""
    with torch.no_grad():
        noisy = add_noise(images, t, noise)
        fake, real = online(noisy, t, labels), teacher(noisy, t, labels)
    return weighting(t, images, real) * ((fake - real) * images).flatten(1).sum(1)


def _sim(spec: ObjectiveSpec) -> StudentLoss:
    return partial(sim_loss, distance=DISTANCES[spec.distance](spec), weighting=STUDENT_WEIGHTINGS[spec.weighting])


def _sid(spec: ObjectiveSpec) -> StudentLoss:
    return partial(sid_loss, alpha=spec.sid_alpha, weighting=STUDENT_WEIGHTINGS[spec.weighting])


def _diff_instruct(spec: ObjectiveSpec) -> StudentLoss:
    return partial(diff_instruct_loss, weighting=STUDENT_WEIGHTINGS[spec.weighting])


OBJECTIVES: dict[str, Callable[[ObjectiveSpec], StudentLoss]] = {
    "sim": _sim,
    "sid": _sid,
    "diff_instruct": _diff_instruct,
}
