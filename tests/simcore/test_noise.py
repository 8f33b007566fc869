"""Each law's quantiles against the closed form, and what the teacher's range does to them."""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from simcore.config import TimeSpec
from simcore.noise import LAWS, clamped_share, draw_times, sigma_range
from simcore.preconditioning import EDMPrecond

WIDE = (1e-30, 1e30)
COUNT = 200_000


def spec(law: str, **settings: Any) -> TimeSpec:
    return TimeSpec.model_validate({"law": law, **settings})


def lognormal_quantile(mean: float, std: float) -> Callable[[float], float]:
    return lambda share: math.exp(NormalDist(mean, std).inv_cdf(share))


def truncated_quantile(share: float) -> float:
    """Text-to-image's law (B.3)."""
    law = NormalDist(-2.0, 2.0)
    low, high = law.cdf(math.log(0.01)), law.cdf(math.log(156.6155))
    return math.exp(law.inv_cdf(low + share * (high - low)))


def karras_quantile(share: float) -> float:
    """B.8, corrected: the share-th of the least noisy 80 % of EDM's levels."""
    low, high = 0.002 ** (1 / 7), 80.0 ** (1 / 7)
    return float((low + 0.8 * share * (high - low)) ** 7)


QUANTILES: dict[str, Callable[[float], float]] = {
    "edm": lognormal_quantile(-1.2, 1.2),
    "sim": lognormal_quantile(-3.5, 2.5),
    "karras": karras_quantile,
    "lognormal": truncated_quantile,
}


@pytest.mark.parametrize("law", QUANTILES)
def test_quantiles_are_those_of_the_law(law: str) -> None:
    """The share of draws below each quantile is that share, within five standard errors."""
    t = draw_times(spec(law), COUNT, WIDE, torch.Generator().manual_seed(0))
    assert (t.shape, t.dtype) == ((COUNT,), torch.float32)
    for share in (0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999):
        found = (t <= QUANTILES[law](share)).double().mean().item()
        assert found == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / COUNT))


@pytest.mark.parametrize(("law", "low", "high"), [("karras", 0.002, 24.408), ("lognormal", 0.01, 156.6155)])
def test_a_bounded_law_fills_its_range_and_no_more(law: str, low: float, high: float) -> None:
    t = draw_times(spec(law), COUNT, WIDE, torch.Generator().manual_seed(1))
    assert t.min().item() >= low * (1 - 1e-6)
    assert t.max().item() <= high * (1 + 1e-4)
    assert t.min().item() == pytest.approx(low, rel=1e-3)
    assert t.max().item() == pytest.approx(QUANTILES[law](1 - 1 / COUNT), rel=0.3)


def test_truncation_redraws_instead_of_piling_up_at_the_bounds() -> None:
    narrow = spec("lognormal", log_mean=0.0, log_std=1.0, low=0.9, high=1.1)
    t = draw_times(narrow, 20_000, WIDE, torch.Generator().manual_seed(2))
    assert t.unique().numel() > 15_000
    assert t.median().item() == pytest.approx(1.0, abs=0.01)


def test_a_discrete_law_draws_every_step_but_the_first_and_last_equally() -> None:
    t = draw_times(spec("discrete_uniform", steps=11), 100_000, WIDE, torch.Generator().manual_seed(3))
    values, counts = t.unique(return_counts=True)
    levels = [math.sqrt(math.expm1(0.1 * (j / 11) + 19.9 / 2 * (j / 11) ** 2)) for j in range(1, 11)]
    assert values.tolist() == pytest.approx(levels)
    assert counts.double().div(100_000).tolist() == pytest.approx([0.1] * 10, abs=5 * math.sqrt(0.09 / 100_000))


def test_a_discrete_law_without_its_steps_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="not resolved: the steps"):
        draw_times(spec("discrete_uniform"), 1, WIDE, torch.Generator())


@given(low=st.floats(1e-4, 0.1), high=st.floats(0.2, 100), seed=st.integers(0, 100))
@pytest.mark.parametrize("law", QUANTILES)
def test_draws_stay_within_the_teachers_range(law: str, low: float, high: float, seed: int) -> None:
    t = draw_times(spec(law), 1000, (low, high), torch.Generator().manual_seed(seed))
    bounds = torch.tensor([low, high])
    assert t.min() >= bounds[0]
    assert t.max() <= bounds[1]


def test_the_clamped_share_is_the_papers() -> None:
    assert clamped_share(spec("sim"), (0.002, 80)) == pytest.approx(0.140, abs=0.001)
    assert clamped_share(spec("sim"), (0.02, 100)) == pytest.approx(0.435, abs=0.001)
    for law in ("karras", "lognormal"):
        assert clamped_share(spec(law), (0.002, 160)) == 0


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("bounds", [(0.02, 2.0), (0.5, 7.5), (3.0, 200.0)])
def test_the_clamped_share_is_what_is_drawn(law: str, bounds: tuple[float, float]) -> None:
    time = spec(law, steps=11 if law == "discrete_uniform" else None)
    free = draw_times(time, COUNT, WIDE, torch.Generator().manual_seed(4))
    outside = ((free < bounds[0]) | (free > bounds[1])).double().mean().item()
    assert clamped_share(time, bounds) == pytest.approx(outside, abs=0.006)


def test_an_unbounded_denoiser_gets_edms_range_and_a_bounded_one_its_own() -> None:
    denoiser = EDMPrecond(torch.nn.Identity())
    assert sigma_range(denoiser) == (0.002, 80.0)
    denoiser.sigma_min, denoiser.sigma_max = 0.02, 100.0
    assert sigma_range(denoiser) == (0.02, 100.0)
    assert math.isinf(EDMPrecond.sigma_max)
