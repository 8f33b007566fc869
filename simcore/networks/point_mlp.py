"""A multilayer perceptron on points in the plane, for the paper's toy (Listing 1). Its shape is ours."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import silu

from simcore.networks.compact_unet import positional_embedding

_EMBEDDING = 16


class PointMLP(nn.Module):
    """F(x, c_noise), where c_noise is t/T. Its embedding is added in every hidden layer: joined to the coordinates
    only, it leaves the modes of the toy's distributions blurred.

    Args:
        img_resolution: 1, since a point counts as an image of one pixel.
        img_channels: coordinates of a point.
        label_dim: 0; there are no classes.
        width: units of each hidden layer.
        depth: hidden layers.
    """

    def __init__(
        self, img_resolution: int = 1, img_channels: int = 2, label_dim: int = 0, width: int = 96, depth: int = 4
    ) -> None:
        super().__init__()
        if (img_resolution, label_dim) != (1, 0):
            raise ValueError(f"points have img_resolution 1 and label_dim 0, not {img_resolution} and {label_dim}")
        if min(img_channels, width, depth) < 1:
            raise ValueError("img_channels, width and depth have to be at least 1")
        inputs = [img_channels, *[width] * (depth - 1)]
        self.hidden = nn.ModuleList(nn.Linear(count, width) for count in inputs)
        self.noise = nn.ModuleList(nn.Linear(_EMBEDDING, width) for _ in inputs)
        self.out = nn.Linear(width, img_channels)

    def forward(self, x: Tensor, c_noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """x [B, C, 1, 1], c_noise [B] in 0 … 1, labels None → [B, C, 1, 1]."""
        embedding = positional_embedding(1000 * c_noise, _EMBEDDING)
        h = x.flatten(1)
        for hidden, noise in zip(self.hidden, self.noise, strict=True):
            h = silu(hidden(h) + noise(embedding))
        out: Tensor = self.out(h)
        return out.view_as(x)
