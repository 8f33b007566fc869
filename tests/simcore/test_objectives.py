"""What the losses are, sample by sample. That SIM's and Diff-Instruct's gradients are right is test_theorem.py's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from simcore.config import ObjectiveSpec
from simcore.distances import pseudo_huber, squared_l2
from simcore.objectives import OBJECTIVES, Denoiser, denoising_loss, diff_instruct_loss, sid_loss, sim_loss
from simcore.weighting import STUDENT_WEIGHTINGS, WEIGHTINGS

NONE = STUDENT_WEIGHTINGS["none"]
TEACHER = (0.4, 0.7)  # mean, standard deviation of the data


def gaussian_denoiser(mean: float, variance: float) -> Denoiser:
    """E[x_0 | x_t] for x_0 ~ N(mean, variance)."""

    def denoise(x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        square = t.view(-1, 1) ** 2
        return (variance * x + square * mean) / (variance + square)

    return denoise


def quadrature(nodes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Points (z, ε) and weights with which Σ w·f(z, ε) = E f for unit normals."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    weights = weights / weights.sum()
    z, noise = np.meshgrid(points, points)
    joint = weights[:, None] * weights[None, :]
    return torch.from_numpy(z.reshape(-1, 1)), torch.from_numpy(noise.reshape(-1, 1)), torch.from_numpy(joint.ravel())


def curved(a: float) -> Denoiser:
    """Some smooth, non-linear function of x, t and labels."""

    def denoise(x: Tensor, t: Tensor, labels: Tensor | None) -> Tensor:
        assert labels is not None
        return (a * x + t.view(-1, 1, 1, 1)).tanh() + a * labels.sum(1).view(-1, 1, 1, 1)

    return denoise


def batch() -> tuple[Tensor, Tensor, Tensor, Tensor, Denoiser, Denoiser]:
    """x_0 with a gradient, t, ε, labels, ψ and q, in float64."""
    generator = torch.Generator().manual_seed(0)
    options: dict[str, Any] = {"generator": generator, "dtype": torch.float64}
    images = torch.randn(6, 2, 3, 3, **options).requires_grad_(True)
    return (
        images,
        torch.rand(6, **options) + 0.1,
        torch.randn(6, 2, 3, 3, **options),
        torch.rand(6, 4, **options),
        curved(0.7),
        curved(-0.4),
    )


def value_and_gradient(losses: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    (gradient,) = torch.autograd.grad(losses.sum(), images)
    return losses.detach(), gradient


def test_sid_with_alpha_one_is_half_of_sim_with_the_squared_distance() -> None:
    given = batch()
    half = value_and_gradient(0.5 * sim_loss(*given, squared_l2(), NONE), given[0])
    found = value_and_gradient(sid_loss(*given, 1.0, NONE), given[0])
    for a, b in zip(found, half, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)
    assert found[1].abs().min() > 1e-4


def test_sids_alpha_takes_away_the_squared_difference() -> None:
    given = batch()
    images, t, noise, labels, online, teacher = given
    noisy = images + t.view(-1, 1, 1, 1) * noise
    squared = (online(noisy, t, labels) - teacher(noisy, t, labels)).square().flatten(1).sum(1)
    expected = sid_loss(*given, 1.0, NONE) - 0.2 * squared
    for a, b in zip(
        value_and_gradient(sid_loss(*given, 1.2, NONE), images), value_and_gradient(expected, images), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_diff_instruct_moves_images_along_the_difference_and_through_nothing_else() -> None:
    given = batch()
    images, t, noise, labels, online, teacher = given
    noisy = (images + t.view(-1, 1, 1, 1) * noise).detach()
    difference = online(noisy, t, labels) - teacher(noisy, t, labels)
    losses, gradient = value_and_gradient(diff_instruct_loss(*given, NONE), images)
    torch.testing.assert_close(gradient, difference)
    torch.testing.assert_close(losses, (difference * images).detach().flatten(1).sum(1))


@pytest.mark.parametrize("weighting", STUDENT_WEIGHTINGS)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_is_weighed_by_a_constant_for_each_sample(name: str, weighting: str) -> None:
    given = batch()
    images, t, noise, labels, _, teacher = given
    spec = {"name": name, "pseudo_huber_c": 0.1}
    losses = OBJECTIVES[name](ObjectiveSpec.model_validate({**spec, "weighting": weighting}))(*given)
    plain = OBJECTIVES[name](ObjectiveSpec.model_validate({**spec, "weighting": "none"}))(*given)
    denoised = teacher(images + t.view(-1, 1, 1, 1) * noise, t, labels)
    weights = STUDENT_WEIGHTINGS[weighting](t, images, denoised).detach()
    assert losses.shape == (6,)
    for a, b in zip(value_and_gradient(losses, images), value_and_gradient(weights * plain, images), strict=True):
        torch.testing.assert_close(a, b)


def test_settings_reach_their_objective() -> None:
    given = batch()
    expected = {
        "sim": sim_loss(*given, pseudo_huber(0.3), NONE),
        "sid": sid_loss(*given, 0.5, NONE),
        "diff_instruct": diff_instruct_loss(*given, NONE),
    }
    assert set(expected) == set(OBJECTIVES)
    for name, losses in expected.items():
        spec = ObjectiveSpec.model_validate({"name": name, "pseudo_huber_c": 0.3, "sid_alpha": 0.5})
        assert torch.equal(OBJECTIVES[name](spec)(*given), losses)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_gradient_is_zero_on_average_where_the_student_already_is_the_teacher(name: str) -> None:
    shift = torch.tensor(TEACHER[0], dtype=torch.float64, requires_grad=True)
    scale = torch.tensor(TEACHER[1], dtype=torch.float64, requires_grad=True)
    z, noise, weights = quadrature(20)
    same = gaussian_denoiser(TEACHER[0], TEACHER[1] ** 2)
    loss = OBJECTIVES[name](ObjectiveSpec.model_validate({"name": name, "pseudo_huber_c": 0.1}))
    losses = loss(scale * z + shift, torch.ones(len(z), dtype=torch.float64), noise, None, same, same)
    for gradient in torch.autograd.grad((weights * losses).sum(), (shift, scale)):
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
