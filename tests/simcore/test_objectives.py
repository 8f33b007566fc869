"""The losses against closed forms: a linear generator and a Gaussian teacher in one dimension."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from simcore.distances import Distance, pseudo_huber
from simcore.objectives import Denoiser, denoising_loss, sim_loss
from simcore.weighting import WEIGHTINGS

T_STAR = 2.5
SQUARED = Distance(value=lambda y: y.flatten(1).square().sum(1), gradient=lambda y: 2 * y)
TEACHER = (0.4, 0.7)  # mean, standard deviation of the data


def gaussian_denoiser(mean: Tensor | float, variance: Tensor | float) -> Denoiser:
    """E[x_0 | x_t] for x_0 ~ N(mean, variance)."""

    def denoise(x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        square = t.view(-1, 1) ** 2
        return (variance * x + square * mean) / (variance + square)

    return denoise


def quadrature(nodes: int = 80) -> tuple[Tensor, Tensor, Tensor]:
    """Points (z, ε) and weights with which Σ w·f(z, ε) = E f for unit normals."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    weights = weights / weights.sum()
    z, noise = np.meshgrid(points, points)
    joint = weights[:, None] * weights[None, :]
    return torch.from_numpy(z.reshape(-1, 1)), torch.from_numpy(noise.reshape(-1, 1)), torch.from_numpy(joint.ravel())


@pytest.mark.parametrize("distance", [SQUARED, pseudo_huber(1.0)], ids=["squared", "pseudo-huber"])
@pytest.mark.parametrize("t", [0.3, 1.0, 3.0])
def test_sims_gradient_is_that_of_the_distance_between_scores(distance: Distance, t: float) -> None:
    """Theorem 3.1: ∂θ E_{x_t ~ p_sg[θ],t} d(y_t) = ∂θ E −d'(y_t)·(d_sg[θ](x_t) − x_0), for scale A and shift b."""
    scale = torch.tensor(0.25, dtype=torch.float64, requires_grad=True)
    shift = torch.tensor(-0.2, dtype=torch.float64, requires_grad=True)
    z, noise, weights = quadrature()
    times = torch.full((len(z),), t, dtype=torch.float64)
    teacher = gaussian_denoiser(TEACHER[0], TEACHER[1] ** 2)

    images = scale * T_STAR * z + shift
    variance = (scale * T_STAR) ** 2
    online = gaussian_denoiser(shift.detach(), variance.detach())
    losses = sim_loss(images, times, noise, None, online, teacher, distance, WEIGHTINGS["none"])
    found = torch.autograd.grad((weights * losses).sum(), (scale, shift))

    noisy = (images + t * noise).detach()
    y = gaussian_denoiser(shift, variance)(noisy, times) - teacher(noisy, times)
    expected = torch.autograd.grad((weights * distance.value(y)).sum(), (scale, shift))
    assert [g.item() for g in found] == pytest.approx([g.item() for g in expected], rel=1e-6)
    assert all(abs(g.item()) > 1e-3 for g in expected)


def test_sim_is_zero_gradient_where_the_student_already_is_the_teacher() -> None:
    shift = torch.tensor(TEACHER[0], dtype=torch.float64, requires_grad=True)
    z, noise, weights = quadrature(20)
    same = gaussian_denoiser(TEACHER[0], TEACHER[1] ** 2)
    times = torch.ones(len(z), dtype=torch.float64)
    losses = sim_loss(TEACHER[1] * z + shift, times, noise, None, same, same, SQUARED, WEIGHTINGS["none"])
    (gradient,) = torch.autograd.grad((weights * losses).sum(), shift)
    assert abs(gradient.item()) < 1e-12


def test_the_denoising_loss_is_least_at_the_true_denoiser_and_there_the_posterior_variance() -> None:
    z, noise, weights = quadrature(20)
    images, t = TEACHER[0] + TEACHER[1] * z, 0.8
    times = torch.full((len(z),), t, dtype=torch.float64)

    def loss(mean: float, variance: float) -> float:
        denoiser = gaussian_denoiser(mean, variance)
        return float((weights * denoising_loss(denoiser, images, times, noise, None, WEIGHTINGS["none"])).sum())

    variance = TEACHER[1] ** 2
    best = loss(TEACHER[0], variance)
    assert best == pytest.approx(variance * t**2 / (variance + t**2), rel=1e-9)
    assert all(loss(m, v) > best for m, v in [(0.3, variance), (0.5, variance), (0.4, 0.3), (0.4, 0.7)])


def test_the_denoising_loss_sums_over_pixels_and_weighs_each_sample() -> None:
    images, noise, t = torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2), torch.tensor([1.0, 2.0])
    losses = denoising_loss(lambda x, t, labels: x, images, t, noise, None, WEIGHTINGS["edm"])
    assert losses.tolist() == pytest.approx([4 * 1.25 / 0.25, 16 * 4.25 / 1.0])
