"""A compact U-Net for small images (8×8 to 32×32), class-conditional or not. Ours; blocks as in EDM's family."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, scaled_dot_product_attention, silu

from simcore.networks.blocks import group_norm, quiet


def positional_embedding(values: Tensor, width: int) -> Tensor:
    """[B] → [B, width]: cosines and sines at geometrically spaced frequencies from 1 down to 1e-4.

    `blocks.PositionalEmbedding(endpoint=True)` but for rounding: the bundled weights were trained with these bits.
    """
    half = width // 2
    frequencies = torch.exp(-math.log(1e4) * torch.arange(half, device=values.device) / (half - 1))
    angles = values[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class Block(nn.Module):
    """Residual block: two 3×3 convolutions, the second modulated (scale, shift) by the embedding."""

    def __init__(self, in_channels: int, out_channels: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.norm0 = group_norm(in_channels)
        self.conv0 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.affine = nn.Linear(embedding, 2 * out_channels)
        self.norm1 = group_norm(out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv1 = quiet(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        self.skip = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.conv0(silu(self.norm0(x)))
        scale, shift = self.affine(embedding)[:, :, None, None].chunk(2, dim=1)
        h = silu(torch.addcmul(shift, self.norm1(h), scale + 1))
        out: Tensor = self.skip(x) + self.conv1(self.dropout(h))
        return out * math.sqrt(0.5)


class Attention(nn.Module):
    """Residual self-attention over all pixels, one head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = quiet(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=2)  # each [B, pixels, C]
        mixed = scaled_dot_product_attention(query, key, value)
        out: Tensor = x + self.proj(mixed.transpose(1, 2).reshape(x.shape))
        return out * math.sqrt(0.5)


class CompactUNet(nn.Module):
    """F(x, c_noise, labels) of EDM's preconditioning.

    Args:
        img_resolution: side of the images in pixels, divisible by 2 for each level after the first.
        img_channels: channels of input and output.
        label_dim: number of classes; 0 for an unconditional network.
        model_channels: width at full resolution, a multiple of 8.
        channel_mult: width of each level as a multiple of `model_channels`; each level halves the resolution.
        num_blocks: residual blocks of each level, in the encoder (the decoder has one more).
        attention: self-attention at the lowest resolution.
        dropout: probability in every block, in training mode only.
    """

    def __init__(
        self,
        img_resolution: int,
        img_channels: int,
        label_dim: int = 0,
        model_channels: int = 16,
        channel_mult: Sequence[int] = (1, 2),
        num_blocks: int = 1,
        attention: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if img_resolution % 2 ** (len(channel_mult) - 1):
            raise ValueError(f"img_resolution {img_resolution} cannot be halved {len(channel_mult) - 1} times")
        if model_channels < 8 or model_channels % 8:
            raise ValueError(f"model_channels has to be a multiple of 8, not {model_channels}")
        self.img_resolution, self.img_channels, self.label_dim = img_resolution, img_channels, label_dim
        self.model_channels = model_channels
        width = 4 * model_channels
        self.map_noise = nn.Sequential(nn.Linear(model_channels, width), nn.SiLU(), nn.Linear(width, width))
        self.map_label = nn.Linear(label_dim, width, bias=False) if label_dim else None

        channels = [model_channels * factor for factor in channel_mult]
        self.conv_in = nn.Conv2d(img_channels, channels[0], 3, padding=1)
        self.encoder = nn.ModuleList()
        self.decoder = nn.ModuleList()
        current, skips = channels[0], []
        for level in channels:
            blocks = nn.ModuleList()
            for _ in range(num_blocks):
                blocks.append(Block(current, level, width, dropout))
                current = level
                skips.append(current)
            self.encoder.append(blocks)
        self.middle = Attention(current) if attention else nn.Identity()
        for level in reversed(channels):
            blocks = nn.ModuleList([Block(current, level, width, dropout)])
            for _ in range(num_blocks):
                blocks.append(Block(level + skips.pop(), level, width, dropout))
            current = level
            self.decoder.append(blocks)
        self.norm_out = group_norm(current)
        self.conv_out = quiet(nn.Conv2d(current, img_channels, 3, padding=1))

    def forward(self, x: Tensor, c_noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """x [B, C, H, W], c_noise [B], labels one-hot [B, label_dim] or None → [B, C, H, W]."""
        embedding = self.map_noise(positional_embedding(4 * c_noise, self.model_channels))
        if self.map_label is not None and labels is not None:
            embedding = embedding + self.map_label(labels) * math.sqrt(self.label_dim)
        embedding = silu(embedding)

        h = self.conv_in(x)
        skips: list[Tensor] = []
        for level, blocks in enumerate(self.encoder):
            h = avg_pool2d(h, 2) if level else h
            for block in blocks:  # type: ignore[attr-defined]
                h = block(h, embedding)
                skips.append(h)
        h = self.middle(h)
        for level, blocks in enumerate(self.decoder):
            h = interpolate(h, scale_factor=2, mode="nearest") if level else h
            for index, block in enumerate(blocks):  # type: ignore[arg-type]
                h = block(torch.cat([h, skips.pop()], dim=1) if index else h, embedding)
        out: Tensor = self.conv_out(silu(self.norm_out(h)))
        return out
