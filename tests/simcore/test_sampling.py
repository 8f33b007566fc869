import pytest
import torch
from torch import Tensor

from simcore.sampling import balanced_classes, heun, heun_times, one_hot, one_step

MEAN, SCALE = 0.3, 0.5


class GaussianDenoiser:
    """The exact denoiser of data N(MEAN, SCALE²)."""

    sigma_min, sigma_max = 0.0, float("inf")

    def __init__(self) -> None:
        self.calls = 0

    def round_sigma(self, sigma: Tensor) -> Tensor:
        return sigma

    def __call__(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        self.calls += 1
        return (SCALE**2 * x.double() + sigma.double() ** 2 * MEAN) / (SCALE**2 + sigma.double() ** 2)


def exact(latents: Tensor) -> Tensor:
    """The probability flow's end point: quantiles are kept."""
    return MEAN + (80 * latents.double() - MEAN) * SCALE / (SCALE**2 + 80**2) ** 0.5


def test_heun_approaches_the_analytic_solution_at_second_order() -> None:
    latents = torch.randn(64, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    errors = [(heun(GaussianDenoiser(), latents, steps=steps) - exact(latents)).abs().max() for steps in (18, 36, 72)]
    assert errors[2] < 0.01
    assert 3.5 < errors[0] / errors[1] < 5
    assert 3.5 < errors[1] / errors[2] < 5


@pytest.mark.parametrize("steps", [1, 2, 18])
def test_heun_takes_two_evaluations_a_step_but_one_in_the_last(steps: int) -> None:
    denoiser = GaussianDenoiser()
    heun(denoiser, torch.zeros(1, 1, 2, 2), steps=steps)
    assert denoiser.calls == 2 * steps - 1


def test_times_fall_from_80_to_0_002_then_zero_within_the_denoisers_range() -> None:
    times = heun_times(GaussianDenoiser(), 18, torch.device("cpu"))
    assert times[[0, 17, 18]].tolist() == pytest.approx([80, 0.002, 0])
    bounded = GaussianDenoiser()
    bounded.sigma_min, bounded.sigma_max = 0.02, 40.0
    assert heun_times(bounded, 18, torch.device("cpu"))[[0, 17]].tolist() == pytest.approx([40, 0.02])
    assert (times.diff() < 0).all()


def test_the_one_step_generator_is_the_denoiser_at_t_star() -> None:
    class Recorder(torch.nn.Module):
        def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
            return x + sigma

    latents = torch.randn(3, 1, 2, 2)
    torch.testing.assert_close(one_step(Recorder(), latents, None, 2.5), 2.5 * latents + 2.5)


def test_classes_are_balanced_and_one_hot() -> None:
    classes = balanced_classes(25, 10)
    assert torch.bincount(classes).tolist() == [3] * 5 + [2] * 5
    rows = one_hot(classes, 10)
    assert rows is not None
    assert rows.shape == (25, 10)
    assert torch.equal(rows.argmax(1), classes)
    assert one_hot(balanced_classes(4, 0), 0) is None
