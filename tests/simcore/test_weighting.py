import torch

from simcore.preconditioning import EDMPrecond
from simcore.weighting import WEIGHTINGS


def test_the_edm_weight_is_the_inverse_square_of_c_out() -> None:
    t = torch.logspace(-3, 2, 50, dtype=torch.float64)
    _, c_out, _, _ = EDMPrecond(torch.nn.Identity()).coefficients(t)
    torch.testing.assert_close(WEIGHTINGS["edm"](t) * c_out**2, torch.ones_like(t))


def test_no_weight_is_one() -> None:
    assert WEIGHTINGS["none"](torch.rand(7)).tolist() == [1.0] * 7
