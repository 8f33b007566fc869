"""torch.compile computes what eager PyTorch does: one update's gradients, on the network of points."""

from __future__ import annotations

import torch
from torch import Tensor

from simcore.config import ComputeSpec
from simcore.objectives import denoising_loss
from simcore.preconditioning import EDMPrecond
from simcore.teachers import build_denoiser
from simcore.updates import compiled

CONFIG = {
    "preconditioning": "discrete_vp", "model_type": "PointMLP", "img_resolution": 1, "img_channels": 2, "label_dim": 0,
    "steps": 100, "width": 16, "depth": 2,
}  # fmt: skip


def gradients(network: EDMPrecond, compute: ComputeSpec) -> list[Tensor]:
    """Of the denoising loss of one fixed batch."""
    generator = torch.Generator().manual_seed(1)
    points, noise = (torch.randn(8, 2, 1, 1, generator=generator) for _ in range(2))
    t = torch.rand(8, generator=generator) + 0.1
    network.zero_grad()
    loss = denoising_loss(compiled(network, compute), points, t, noise, None, lambda t: 1 / t**2)
    loss.mean().backward()  # type: ignore[no-untyped-call]
    return [p.grad.clone() for p in network.parameters() if p.grad is not None]


def test_a_compiled_network_has_eagers_gradients() -> None:
    torch.manual_seed(0)
    network = build_denoiser(CONFIG)
    eager = gradients(network, ComputeSpec(compile="off"))
    torch._dynamo.reset()
    counted = torch._dynamo.utils.counters["stats"]
    before = counted["unique_graphs"]
    found = gradients(network, ComputeSpec(compile="on"))
    assert counted["unique_graphs"] > before, "nothing was compiled"
    assert len(found) == len(eager) == len(list(network.parameters()))
    for value, expected in zip(found, eager, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-6)
    assert all(value.abs().max() > 0 for value in found)
