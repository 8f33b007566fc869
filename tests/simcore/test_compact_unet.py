import pytest
import torch

from simcore.networks.compact_unet import CompactUNet


@pytest.mark.parametrize(
    ("side", "channels", "mult", "classes"), [(8, 1, (1, 2), 10), (16, 3, (1, 2, 2), 0), (32, 1, (1, 2, 2, 4), 10)]
)
def test_output_has_the_inputs_shape(side: int, channels: int, mult: tuple[int, ...], classes: int) -> None:
    network = CompactUNet(side, channels, classes, model_channels=8, channel_mult=mult, num_blocks=2)
    x = torch.randn(2, channels, side, side)
    labels = torch.eye(10)[:2] if classes else None
    assert network(x, torch.randn(2), labels).shape == x.shape


def test_every_parameter_gets_a_gradient() -> None:
    network = CompactUNet(8, 1, 10, model_channels=8)
    network(torch.randn(4, 1, 8, 8), torch.randn(4), torch.eye(10)[:4]).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_labels_and_noise_level_matter_and_samples_do_not_mix() -> None:
    torch.manual_seed(0)
    network, x = CompactUNet(8, 1, 10, model_channels=8), torch.randn(2, 1, 8, 8)
    noise, labels = torch.zeros(2), torch.eye(10)[:2]
    out = network(x, noise, labels)
    assert not torch.equal(out, network(x, noise, labels.flip(0)))
    assert not torch.equal(out, network(x, noise + 0.3, labels))
    torch.testing.assert_close(network(x[:1], noise[:1], labels[:1]), out[:1])


def test_a_conditional_network_without_labels_gets_zeros() -> None:
    network, x = CompactUNet(8, 1, 10, model_channels=8), torch.randn(2, 1, 8, 8)
    assert torch.equal(network(x, torch.zeros(2), None), network(x, torch.zeros(2), torch.zeros(2, 10)))


def test_a_resolution_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be halved 2 times"):
        CompactUNet(10, 1, channel_mult=(1, 2, 2))
