import math

import torch
from torch import Tensor, nn

from simcore.preconditioning import EDMPrecond


class Recorder(nn.Module):
    """A network that keeps its inputs and answers with a constant."""

    def forward(self, x: Tensor, c_noise: Tensor, labels: Tensor | None) -> Tensor:
        self.seen = (x, c_noise, labels)
        return torch.full_like(x, 3.0)


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
