import pytest
import torch

from simcore.preconditioning import EDMPrecond
from simcore.weighting import STUDENT_WEIGHTINGS, WEIGHTINGS


def test_the_edm_weight_is_the_inverse_square_of_c_out() -> None:
    t = torch.logspace(-3, 2, 50, dtype=torch.float64)
    _, c_out, _, _ = EDMPrecond(torch.nn.Identity()).coefficients(t)
    torch.testing.assert_close(WEIGHTINGS["edm"](t) * c_out**2, torch.ones_like(t))


def test_the_epsilon_weight_turns_the_error_of_the_image_into_that_of_the_noise() -> None:
    images, noise = torch.randn(2, 8, 1, 2, 2, dtype=torch.float64)
    t = torch.logspace(-2, 2, 8, dtype=torch.float64)
    noisy = images + t.view(-1, 1, 1, 1) * noise
    denoised = torch.zeros_like(images)
    error = ((noisy - denoised) / t.view(-1, 1, 1, 1) - noise).square().flatten(1).sum(1)
    torch.testing.assert_close(WEIGHTINGS["epsilon"](t) * (denoised - images).square().flatten(1).sum(1), error)


def test_no_weight_is_one() -> None:
    assert WEIGHTINGS["none"](torch.rand(7)).tolist() == [1.0] * 7


def test_sids_weight_is_the_inverse_mean_error_of_each_sample_with_a_floor() -> None:
    images = torch.zeros(3, 1, 2, 2)
    denoised = torch.zeros(3, 1, 2, 2)
    denoised[0] = torch.tensor([[1.0, -2.0], [3.0, -4.0]])
    denoised[1] = 1e-3
    weights = STUDENT_WEIGHTINGS["sid"](torch.rand(3), images, denoised)
    assert weights.tolist() == pytest.approx([1 / 2.5, 1e3, 1e5])


def test_sids_weight_is_a_constant_to_the_gradient() -> None:
    images = torch.ones(2, 1, 2, 2, requires_grad=True)
    assert not STUDENT_WEIGHTINGS["sid"](torch.rand(2), images, images * 3).requires_grad


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_weights_of_the_noise_level_are_the_students_too(name: str) -> None:
    t, images = torch.rand(5) + 0.1, torch.randn(5, 1, 2, 2)
    assert torch.equal(STUDENT_WEIGHTINGS[name](t, images, images), WEIGHTINGS[name](t))
