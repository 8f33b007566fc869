import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from simcore.config import EmaSpec
from simcore.ema import average_copy, ema_decay, update_average


@given(kimg=st.floats(0.01, 1000), batch=st.integers(1, 512))
def test_after_one_half_life_of_images_half_of_the_old_average_is_left(kimg: float, batch: int) -> None:
    decay = ema_decay(EmaSpec(half_life_kimg=kimg, ramp_up=0), images_seen=10**9, batch_size=batch)
    assert decay ** (kimg * 1000 / batch) == pytest.approx(0.5, rel=1e-6)


def test_ramp_up_limits_the_half_life_to_a_share_of_the_images_seen() -> None:
    spec = EmaSpec(half_life_kimg=500, ramp_up=0.05)
    assert ema_decay(spec, 0, 64) == 0.0
    assert ema_decay(spec, 20_000, 64) == pytest.approx(0.5 ** (64 / 1000))
    assert ema_decay(spec, 10**9, 64) == pytest.approx(0.5 ** (64 / 500_000))


def test_a_half_life_of_zero_follows_the_weights() -> None:
    average, module = nn.Linear(3, 2), nn.Linear(3, 2)
    update_average(average, module, ema_decay(EmaSpec(half_life_kimg=0), 1000, 64))
    assert torch.equal(average.weight, module.weight)


def test_the_average_is_a_weighted_mean_and_frozen() -> None:
    module = nn.Linear(3, 2)
    average = average_copy(module)
    before = average.weight.clone()
    with torch.no_grad():
        module.weight.add_(1.0)
    update_average(average, module, 0.75)
    torch.testing.assert_close(average.weight, before + 0.25)
    assert not any(p.requires_grad for p in average.parameters())
