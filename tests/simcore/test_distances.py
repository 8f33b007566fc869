from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from simcore.config import ObjectiveSpec
from simcore.distances import (
    DISTANCES,
    Distance,
    DistanceOverflow,
    exp_power,
    huber,
    l1,
    power,
    pseudo_huber,
    squared_l2,
)

# Named as in the registry; what a setting (0.1 to 10) chooses is the distance's own parameter.
BUILDERS: dict[str, Callable[[float], Distance]] = {
    "squared_l2": lambda _: squared_l2(),
    "power": lambda setting: power(2 * int(1 + setting % 4)),
    "exp_power": lambda setting: exp_power(2 * int(1 + setting % 2), setting),
    "l1": lambda _: l1(),
    "huber": huber,
    "pseudo_huber": pseudo_huber,
}


def test_every_distance_of_table_4_is_there() -> None:
    assert set(BUILDERS) == set(DISTANCES)


def autograd(distance: Distance, y: Tensor) -> Tensor:
    y = y.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(distance.value(y).sum(), y)
    return gradient


@pytest.mark.parametrize("name", BUILDERS)
@given(setting=st.floats(0.1, 10), exponent=st.floats(-6, 6), seed=st.integers(0, 1000))
def test_the_gradient_is_autograds(name: str, setting: float, exponent: float, seed: int) -> None:
    """From 1e-6 to 1e6, with exact zeros among the values."""
    distance = BUILDERS[name](setting)
    generator = torch.Generator().manual_seed(seed)
    y = 10**exponent * torch.randn(3, 2, 4, 4, dtype=torch.float64, generator=generator)
    y[:, 0, 0] = 0
    try:
        found = distance.gradient(y)
    except DistanceOverflow:
        assert name == "exp_power"
        assert setting * y.abs().max().item() ** 2 > 1  # else 1e-6 to 1 would be refused, too
        return
    torch.testing.assert_close(found, autograd(distance, y), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", BUILDERS)
def test_everything_is_zero_at_zero(name: str) -> None:
    distance, y = BUILDERS[name](1.0), torch.zeros(2, 1, 2, 2, dtype=torch.float64)
    assert distance.value(y).tolist() == [0, 0]
    assert distance.gradient(y).abs().max() == 0
    assert autograd(distance, y).abs().max() == 0


@pytest.mark.parametrize(
    ("distance", "value", "gradient"),
    [
        (squared_l2(), 3**2 + 0.5**2, [6, -1]),
        (power(4), 81 + 0.0625, [4 * 27, 4 * -0.125]),
        (exp_power(2, 0.1), 1.5218682, [1.5131209, -0.2521868]),  # e^0.925 = 2.5218682
        (l1(), 3.5, [1, -1]),
        (huber(1.0), 2.5 + 0.125, [1, -0.5]),
        (pseudo_huber(0.5), 3.0822070 - 0.5, [0.9733285, -0.1622214]),  # √9.5 = 3.0822070
    ],
    ids=["squared L2", "power 4", "exp-power", "L1", "Huber", "pseudo-Huber"],
)
def test_values_and_gradients_are_table_4s(distance: Distance, value: float, gradient: list[float]) -> None:
    y = torch.tensor([[3.0, -0.5]], dtype=torch.float64)
    assert distance.value(y).item() == pytest.approx(value, rel=1e-6)
    assert distance.gradient(y).tolist()[0] == pytest.approx(gradient, rel=1e-6)


@pytest.mark.parametrize("name", BUILDERS)
def test_sums_and_norms_are_over_each_sample_not_over_the_batch(name: str) -> None:
    distance, y = BUILDERS[name](0.3), torch.randn(4, 1, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(distance.gradient(y), torch.cat([distance.gradient(sample[None]) for sample in y]))
    torch.testing.assert_close(distance.value(y), torch.cat([distance.value(sample[None]) for sample in y]))
    assert distance.value(y).shape == (4,)


def test_pseudo_huber_is_half_the_square_near_zero_and_the_norm_far_away() -> None:
    distance = pseudo_huber(1.0)
    near, far = torch.full((1, 1, 2, 2), 1e-3).double(), torch.full((1, 1, 2, 2), 1e6).double()
    assert distance.value(near).item() == pytest.approx(0.5 * 4e-6, rel=1e-4)
    assert distance.value(far).item() == pytest.approx(2e6, rel=1e-5)


def test_exp_power_says_that_it_overflows_and_by_how_much() -> None:
    distance, y = exp_power(2, 1.0), torch.full((2, 1, 2, 2), 5.0)
    for function in (distance.value, distance.gradient):
        with pytest.raises(DistanceOverflow, match=r"β·‖y‖\^α is 100, more than 88.7"):
            function(y)
    assert distance.gradient(y.double()).isfinite().all()


def test_settings_reach_their_distance() -> None:
    y = torch.tensor([[3.0, -0.5]], dtype=torch.float64)
    settings = {"pseudo_huber_c": 0.7, "power_alpha": 6, "exp_beta": 1e-4, "huber_delta": 0.2}
    expected = {
        "pseudo_huber": pseudo_huber(0.7),
        "power": power(6),
        "exp_power": exp_power(6, 1e-4),
        "huber": huber(0.2),
        "l1": l1(),
        "squared_l2": squared_l2(),
    }
    for name, distance in expected.items():
        spec = ObjectiveSpec.model_validate({"distance": name, **settings})
        assert torch.equal(DISTANCES[name](spec).gradient(y), distance.gradient(y))


def test_an_unresolved_constant_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="pseudo_huber_c is empty"):
        DISTANCES["pseudo_huber"](ObjectiveSpec())
