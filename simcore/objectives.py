"""The two losses of Algorithm 2. Each returns one value a sample, [B]: summed over pixels, not yet averaged.

Denoisers are called `d(x, t, labels)`; images are [B, C, H, W], t is [B], labels are one-hot [B, label_dim] or None.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from simcore.distances import Distance

Denoiser = Callable[[Tensor, Tensor, Tensor | None], Tensor]
Weighting = Callable[[Tensor], Tensor]


def add_noise(images: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """x_t = x_0 + t·ε (B.1)."""
    return images + t.view(-1, *[1] * (images.dim() - 1)) * noise


def denoising_loss(
    denoiser: Denoiser, images: Tensor, t: Tensor, noise: Tensor, labels: Tensor | None, weighting: Weighting
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
    weighting: Weighting,
) -> Tensor:
    """w(t)·Σ −d'(y_t)·(d_ψ(x_t, t) − x_0) with y_t = d_ψ − d_q (Algorithm 2, the step of θ; Theorem 3.1).

    `images` are x_0 = g_θ(z). The gradient flows through x_0 and x_t everywhere, d'(y_t) included; only the
    parameters of ψ and q are constants (A.5), which the caller sees to.
    """
    noisy = add_noise(images, t, noise)
    fake = online(noisy, t, labels)
    gradient = distance.gradient(fake - teacher(noisy, t, labels))
    return weighting(t) * (-gradient * (fake - images)).flatten(1).sum(1)
