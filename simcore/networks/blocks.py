"""Building blocks of the EDM networks: resampling convolution, group norm, residual block, noise embeddings.

Parameters are named and shaped as in the published checkpoints. Filters are constants and not in the state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, scaled_dot_product_attention, silu

Resampling = Literal["up", "down"]
Convolution = TypeVar("Convolution", bound=nn.Conv2d)


class Resample(nn.Module):
    """Double or halve both sides with a separable filter, channel by channel.

    taps: the filter in one dimension, of even length; the plane's filter is its outer product, of sum 1.
    """

    taps: Tensor

    def __init__(self, mode: Resampling, taps: Sequence[float] = (1, 1)) -> None:
        super().__init__()
        if len(taps) < 2 or len(taps) % 2 or not sum(taps):
            raise ValueError(f"resample_filter {list(taps)} has to have an even number of taps, their sum not 0")
        line = torch.tensor(taps, dtype=torch.float32)
        self.mode = mode
        self.padding = (len(taps) - 1) // 2
        self.register_buffer("taps", line.outer(line)[None, None] / line.sum() ** 2, persistent=False)

    def forward(self, x: Tensor, padded: bool = False) -> Tensor:
        """[B, C, H, W] → [B, C, 2H, 2W] or [B, C, H/2, W/2]. `padded`: x already carries the filter's margin."""
        channels, padding = x.shape[1], 0 if padded else self.padding
        taps = self.taps.to(x.dtype).expand(channels, -1, -1, -1)
        if self.mode == "up":
            return conv_transpose2d(x, 4 * taps, stride=2, padding=padding, groups=channels)
        return conv2d(x, taps, stride=2, padding=padding, groups=channels)


class Conv2d(nn.Conv2d):
    """A convolution that keeps the size, after resampling where `resample` is given.

    `fused` (always down): convolve first, with the filter's margin, then filter and stride.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        resample: Resampling | None = None,
        taps: Sequence[float] = (1, 1),
        fused: bool = False,
    ) -> None:
        resampling = Resample(resample, taps) if resample else None
        margin = resampling.padding if resampling and fused else 0
        super().__init__(in_channels, out_channels, kernel, padding=kernel // 2 + margin)
        self.resample, self.fused = resampling, fused

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] → [B, out, H, W], or twice or half the sides."""
        if self.resample is None:
            return super().forward(x)
        if self.fused:
            halved: Tensor = self.resample(super().forward(x), padded=True)
            return halved
        return super().forward(self.resample(x))


def group_norm(channels: int, eps: float = 1e-5) -> nn.GroupNorm:
    """min(32, channels // 4) groups. Raises ValueError where the channels do not divide into them."""
    groups = min(32, channels // 4)
    if not groups or channels % groups:
        raise ValueError(f"{channels} channels do not divide into min(32, channels // 4) = {groups} groups")
    return nn.GroupNorm(groups, channels, eps)


def quiet(layer: Convolution) -> Convolution:
    """Start a branch's last layer near zero, so that a fresh network is close to its skips."""
    with torch.no_grad():
        layer.weight.mul_(1e-3)
        assert layer.bias is not None
        layer.bias.zero_()
    return layer


class Block(nn.Module):
    """Residual block of two 3×3 convolutions, with optional resampling and self-attention.

    Args:
        in_channels, out_channels: channels of input and output.
        embedding: width of the embedding.
        resample, taps: resampling of the first convolution and the skip, and its filter.
        attention: self-attention over all pixels after the convolutions.
        channels_per_head: width of an attention head; None for one head of all channels.
        dropout: probability before the second convolution, in training mode only.
        skip_scale: factor of the sum of branch and skip, and of attention and its input.
        eps: of every norm.
        scale_shift: the embedding scales and shifts after the second norm (ADM), or is added before it (DDPM++).
        resample_proj: the skip of a resampling block is a 1×1 convolution even where the channels stay.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        embedding: int,
        resample: Resampling | None = None,
        taps: Sequence[float] = (1, 1),
        attention: bool = False,
        channels_per_head: int | None = None,
        dropout: float = 0.0,
        skip_scale: float = 1.0,
        eps: float = 1e-5,
        scale_shift: bool = True,
        resample_proj: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.skip_scale, self.scale_shift = skip_scale, scale_shift
        self.norm0 = group_norm(in_channels, eps)
        self.conv0 = Conv2d(in_channels, out_channels, 3, resample, taps)
        self.affine = nn.Linear(embedding, out_channels * (2 if scale_shift else 1))
        self.norm1 = group_norm(out_channels, eps)
        self.dropout = nn.Dropout(dropout)
        self.conv1 = quiet(Conv2d(out_channels, out_channels, 3))
        self.skip: nn.Module = nn.Identity()
        if in_channels != out_channels or (resample and resample_proj):
            self.skip = Conv2d(in_channels, out_channels, 1, resample, taps)
        elif resample:
            self.skip = Resample(resample, taps)
        self.heads = 0
        if attention:
            self.heads = max(1, out_channels // channels_per_head) if channels_per_head else 1
            if out_channels % self.heads:
                raise ValueError(f"{out_channels} channels do not divide into {self.heads} attention heads")
            self.norm2 = group_norm(out_channels, eps)
            self.qkv = Conv2d(out_channels, 3 * out_channels, 1)
            self.proj = quiet(Conv2d(out_channels, out_channels, 1))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x [B, in, H, W], embedding [B, embedding] → [B, out, H', W']."""
        h = self.conv0(silu(self.norm0(x)))
        modulation = self.affine(embedding)[:, :, None, None]
        if self.scale_shift:
            scale, shift = modulation.chunk(2, dim=1)
            h = silu(torch.addcmul(shift, self.norm1(h), scale + 1))
        else:
            h = silu(self.norm1(h + modulation))
        out: Tensor = (self.conv1(self.dropout(h)) + self.skip(x)) * self.skip_scale
        return (self.proj(self._attend(self.norm2(out))) + out) * self.skip_scale if self.heads else out

    def _attend(self, x: Tensor) -> Tensor:
        batch, channels, *_ = x.shape
        parts = self.qkv(x).reshape(batch, self.heads, channels // self.heads, 3, -1)
        # each [B, heads, pixels, channels / heads]; the fast kernels want the last axis contiguous
        query, key, value = parts.permute(3, 0, 1, 4, 2).contiguous().unbind(0)
        return scaled_dot_product_attention(query, key, value).transpose(2, 3).reshape(x.shape)


class PositionalEmbedding(nn.Module):
    """[B] → [B, width]: cosines, then sines, at frequencies from 1 down to 1e-4.

    `endpoint`: 1e-4 itself is the last frequency (DDPM++), or would be the next one (ADM).
    """

    def __init__(self, width: int, endpoint: bool) -> None:
        super().__init__()
        self.count, self.endpoint = width // 2, endpoint

    def forward(self, values: Tensor) -> Tensor:
        exponents = torch.arange(self.count, dtype=torch.float32, device=values.device)
        spacing = self.count - 1 if self.endpoint else self.count
        return _cos_sin(values[:, None] * (1 / 10000) ** (exponents / spacing))


class FourierEmbedding(nn.Module):
    """[B] → [B, width]: cosines, then sines, at random frequencies, which are part of the state."""

    freqs: Tensor

    def __init__(self, width: int, scale: float = 16.0) -> None:
        super().__init__()
        self.register_buffer("freqs", torch.randn(width // 2) * scale)

    def forward(self, values: Tensor) -> Tensor:
        return _cos_sin(values[:, None] * (2 * math.pi * self.freqs))


def _cos_sin(angles: Tensor) -> Tensor:
    return torch.cat([angles.cos(), angles.sin()], dim=1)
