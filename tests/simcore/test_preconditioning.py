import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from simcore.noise_levels import iddpm_levels, vp_levels, vp_sigma
from simcore.preconditioning import DiscreteVPPrecond, EDMPrecond, IDDPMPrecond, VEPrecond, VPPrecond, vp_time
from simcore.sampling import heun_times

SIGMAS = [0.03, 0.5, 7.0, 60.0]


class Recorder(nn.Module):
    """A network that keeps its inputs and answers with a constant, after it with `extra` times as many sevens."""

    def __init__(self, extra: int = 0) -> None:
        super().__init__()
        self.extra = extra

    def forward(self, x: Tensor, c_noise: Tensor, labels: Tensor | None) -> Tensor:
        self.seen = (x, c_noise, labels)
        return torch.cat([torch.full_like(x, 3.0), *[torch.full_like(x, 7.0)] * self.extra], dim=1)


def nearest_number(sigma: float) -> int:
    """999 − the index of the level nearest to σ."""
    levels = iddpm_levels()
    return 999 - min(range(1001), key=lambda j: abs(levels[j] - sigma))


def vp_time_by_bisection(sigma: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if vp_sigma(middle) < sigma else (low, middle)
    return low


def test_the_denoiser_follows_edms_table_1() -> None:
    network, x, sigma = Recorder(), torch.randn(2, 1, 4, 4), torch.tensor([0.1, 7.0])
    labels = torch.eye(2)
    out = EDMPrecond(network)(x, sigma, labels)
    for i, s in enumerate(sigma.tolist()):
        norm = math.sqrt(s**2 + 0.25)
        torch.testing.assert_close(network.seen[0][i], x[i] / norm)
        torch.testing.assert_close(network.seen[1][i].item(), math.log(s) / 4, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(out[i], 0.25 / norm**2 * x[i] + s * 0.5 / norm * 3.0)
    assert network.seen[2] is labels


# σ → (c_out/σ, c_in, c_noise)
EXPECTED = {
    VPPrecond: lambda s: (-1, 1 / math.sqrt(s**2 + 1), 999 * vp_time_by_bisection(s)),
    VEPrecond: lambda s: (1, 1.0, math.log(s / 2)),
    IDDPMPrecond: lambda s: (-1, 1 / math.sqrt(s**2 + 1), nearest_number(s)),
}


@pytest.mark.parametrize("precondition", EXPECTED)
def test_vp_ve_and_iddpm_follow_edms_table_1(precondition: type[EDMPrecond]) -> None:
    network, x = Recorder(precondition.network_channels - 1), torch.randn(4, 2, 4, 4)
    out = precondition(network)(x, torch.tensor(SIGMAS))
    assert out.shape == x.shape
    for i, s in enumerate(SIGMAS):
        sign, c_in, c_noise = EXPECTED[precondition](s)
        torch.testing.assert_close(network.seen[0][i], c_in * x[i])
        assert network.seen[1][i].item() == pytest.approx(c_noise, rel=1e-5)
        torch.testing.assert_close(out[i], x[i] + sign * s * 3.0)


def test_the_ranges_of_noise_levels() -> None:
    def bounds(kind: type[EDMPrecond]) -> tuple[float, float]:
        denoiser = kind(nn.Identity())
        return denoiser.sigma_min, denoiser.sigma_max

    assert bounds(EDMPrecond) == (0, math.inf)
    assert bounds(VPPrecond) == pytest.approx(
        (math.sqrt(math.exp(19.9e-10 / 2 + 1e-6) - 1), math.sqrt(math.exp(10.05) - 1)), rel=1e-5
    )
    assert bounds(VEPrecond) == (0.02, 100)
    assert bounds(IDDPMPrecond) == pytest.approx((0.00642, 20291), rel=1e-3)


def test_vp_time_inverts_sigma_over_its_whole_range() -> None:
    times = torch.logspace(-5, 0, 50, dtype=torch.float64)
    sigmas = torch.tensor([vp_sigma(t) for t in times.tolist()])
    torch.testing.assert_close(vp_time(sigmas), times.float(), rtol=1e-5, atol=0)


def test_iddpm_levels_fall_from_the_largest_to_zero_and_match_the_cosine_schedule() -> None:
    levels = iddpm_levels()
    assert len(levels) == 1001
    assert levels[-1] == 0
    assert all(a > b for a, b in pairwise(levels))

    # where the floor 0.001 does not act, the product of the ratios telescopes: u_j² + 1 = ᾱ(M)/ᾱ(j)
    def alpha(j: int) -> float:
        return math.sin(math.pi * j / 2016) ** 2

    for j in (2, 10, 500, 999):
        assert levels[j] == pytest.approx(math.sqrt(alpha(1000) / alpha(j) - 1), rel=1e-6)
    assert levels[0] == pytest.approx(math.sqrt((levels[1] ** 2 + 1) / 0.001 - 1))


def test_iddpm_rounds_to_the_nearest_level_and_keeps_shape_and_type() -> None:
    denoiser, levels = IDDPMPrecond(nn.Identity()), iddpm_levels()
    between = [levels[500] * 0.51 + levels[501] * 0.49, levels[500] * 0.49 + levels[501] * 0.51]
    rounded = denoiser.round_sigma(torch.tensor([between], dtype=torch.float64))
    assert rounded.dtype == torch.float64
    assert rounded.tolist() == [pytest.approx([levels[500], levels[501]], rel=1e-6)]
    assert torch.equal(denoiser.round_sigma(rounded), rounded)


def test_a_discrete_diffusion_knows_its_steps_and_gives_the_noise() -> None:
    network, x = Recorder(), torch.randn(3, 2, 1, 1)
    denoiser, levels = DiscreteVPPrecond(network, steps=10), vp_levels(10)
    assert (denoiser.sigma_min, denoiser.sigma_max) == (levels[0], levels[8])
    sigma = torch.tensor([levels[0] * 0.5, levels[4] * 1.01, 1e3])
    out = denoiser(x, sigma)
    assert network.seen[1].tolist() == pytest.approx([0.1, 0.5, 0.9])
    for i, s in enumerate(sigma.tolist()):
        torch.testing.assert_close(network.seen[0][i], x[i] / math.sqrt(1 + s**2))
        torch.testing.assert_close(out[i], x[i] + s * 3.0)
    rounded = denoiser.round_sigma(sigma.double())
    assert rounded.tolist() == pytest.approx([levels[0], levels[4], levels[8]], rel=1e-6)


@pytest.mark.parametrize("steps", [1, 2.0, True, None])
def test_a_discrete_diffusion_has_a_whole_number_of_steps(steps: Any) -> None:
    with pytest.raises(ValueError, match="steps has to be a whole number from 2"):
        DiscreteVPPrecond(nn.Identity(), steps)


def test_heuns_times_stay_within_each_networks_range_and_from_80_to_0_002() -> None:
    def ends(kind: type[EDMPrecond]) -> list[float]:
        times = heun_times(kind(nn.Identity()), 18, torch.device("cpu"))
        assert times.dtype == torch.float64
        return times[[0, 17, 18]].tolist()

    assert ends(EDMPrecond) == pytest.approx([80, 0.002, 0])
    assert ends(VPPrecond) == pytest.approx([80, 0.002, 0])
    assert ends(VEPrecond) == pytest.approx([80, 0.02, 0])
    levels = iddpm_levels()
    nearest_80 = min(levels, key=lambda level: abs(level - 80))
    assert nearest_80 != 80
    assert ends(IDDPMPrecond) == pytest.approx([nearest_80, levels[999], 0])


def test_heun_refuses_to_take_no_step() -> None:
    with pytest.raises(ValueError, match="at least 1 step, not 0"):
        heun_times(EDMPrecond(nn.Identity()), 0, torch.device("cpu"))


def test_everything_outside_the_network_is_float32() -> None:
    class Half(Recorder):
        def forward(self, x: Tensor, c_noise: Tensor, labels: Tensor | None) -> Tensor:
            return super().forward(x, c_noise, labels).bfloat16()

    network = Half()
    out = EDMPrecond(network)(torch.randn(2, 1, 4, 4, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64))
    assert {out.dtype, network.seen[0].dtype, network.seen[1].dtype} == {torch.float32}


def test_the_networks_input_has_unit_variance_for_data_of_sigma_data() -> None:
    network = Recorder()
    generator = torch.Generator().manual_seed(0)
    data = 0.5 * torch.randn(64, 1, 32, 32, generator=generator)
    for sigma in (0.01, 1.0, 50.0):
        EDMPrecond(network)(data + sigma * torch.randn(data.shape, generator=generator), torch.tensor(sigma))
        assert abs(network.seen[0].std().item() - 1) < 0.02


def test_one_sigma_for_all_equals_the_same_sigma_for_each() -> None:
    x, denoiser = torch.randn(3, 1, 4, 4), EDMPrecond(Recorder())
    assert torch.equal(denoiser(x, torch.tensor(2.5)), denoiser(x, torch.full((3,), 2.5)))
