import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from simcore.distances import pseudo_huber


@given(c=st.floats(1e-3, 10), scale=st.floats(1e-3, 1e2), seed=st.integers(0, 1000))
def test_the_pseudo_huber_gradient_is_autograds(c: float, scale: float, seed: int) -> None:
    y = scale * torch.randn(3, 2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    y.requires_grad_(True)
    distance = pseudo_huber(c)
    (expected,) = torch.autograd.grad(distance.value(y).sum(), y)
    torch.testing.assert_close(distance.gradient(y), expected, rtol=1e-9, atol=1e-12)


def test_pseudo_huber_is_half_the_square_near_zero_and_the_norm_far_away() -> None:
    distance = pseudo_huber(1.0)
    near, far = torch.full((1, 1, 2, 2), 1e-3).double(), torch.full((1, 1, 2, 2), 1e6).double()
    assert distance.value(near).item() == pytest.approx(0.5 * 4e-6, rel=1e-4)
    assert distance.value(far).item() == pytest.approx(2e6, rel=1e-5)


def test_the_norm_is_over_each_sample_not_over_the_batch() -> None:
    y = torch.randn(4, 1, 3, 3)
    together = pseudo_huber(0.1).gradient(y)
    apart = torch.cat([pseudo_huber(0.1).gradient(sample[None]) for sample in y])
    torch.testing.assert_close(together, apart)
