import math
from statistics import NormalDist

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from simcore.noise import clamped_share, draw_times, sigma_range
from simcore.preconditioning import EDMPrecond

WIDE = (1e-30, 1e30)


@pytest.mark.parametrize(("law", "mean", "std"), [("edm", -1.2, 1.2), ("sim", -3.5, 2.5)])
def test_quantiles_are_those_of_the_law(law: str, mean: float, std: float) -> None:
    logs = draw_times(law, 200_000, WIDE, torch.Generator().manual_seed(0)).log()
    for share in (0.05, 0.25, 0.5, 0.75, 0.95):
        expected = NormalDist(mean, std).inv_cdf(share)
        assert logs.quantile(share).item() == pytest.approx(expected, abs=0.02 * std)


@given(low=st.floats(1e-4, 0.1), high=st.floats(0.2, 100), seed=st.integers(0, 100))
def test_draws_stay_within_the_bounds(low: float, high: float, seed: int) -> None:
    t = draw_times("sim", 1000, (low, high), torch.Generator().manual_seed(seed))
    bounds = torch.tensor([low, high])
    assert t.min() >= bounds[0]
    assert t.max() <= bounds[1]


def test_the_clamped_share_is_the_papers_and_what_is_drawn() -> None:
    assert clamped_share("sim", (0.002, 80)) == pytest.approx(0.140, abs=0.001)
    assert clamped_share("sim", (0.02, 100)) == pytest.approx(0.435, abs=0.001)
    t = draw_times("sim", 100_000, (0.02, 1.0), torch.Generator().manual_seed(1))
    clamped = ((t == torch.tensor(0.02)) | (t == 1.0)).double().mean().item()
    assert clamped == pytest.approx(clamped_share("sim", (0.02, 1.0)), abs=0.005)


def test_an_unbounded_denoiser_gets_edms_range_and_a_bounded_one_its_own() -> None:
    denoiser = EDMPrecond(torch.nn.Identity())
    assert sigma_range(denoiser) == (0.002, 80.0)
    denoiser.sigma_min, denoiser.sigma_max = 0.02, 100.0
    assert sigma_range(denoiser) == (0.02, 100.0)
    assert math.isinf(EDMPrecond.sigma_max)
