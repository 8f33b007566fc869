"""What the published U-Nets share: encoder and decoder, their stages named by resolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from simcore.networks.blocks import Block, Conv2d


def check_whole(least: int, **values: object) -> None:
    """Raises ValueError where one of the named values is not a whole number from `least`."""
    for name, value in values.items():
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{name} has to be a whole number from {least}, not {value!r}")


class EDMUNet(nn.Module):
    """Encoder `enc` and decoder `dec` of blocks, and the network's facts; a family adds embedding and output.

    Args:
        img_resolution: side of the images in pixels, divisible by 2 for each level after the first.
        img_channels: channels of the input.
        out_channels: channels of the output; None: as many as of the input.
        label_dim: number of classes; 0 for an unconditional network.
        augment_dim: width of the augmentation labels; 0 for none.
        model_channels: width that `channel_mult` multiplies.
        channel_mult: width of each level.
        channel_mult_emb: width of the embedding.
        num_blocks: blocks of each level, in the encoder (the decoder has one more).
        attn_resolutions: sides at which blocks have self-attention.
    """

    map_label: nn.Linear | None
    map_augment: nn.Linear | None

    def __init__(
        self,
        img_resolution: int,
        img_channels: int,
        out_channels: int | None,
        label_dim: int,
        augment_dim: int,
        model_channels: int,
        channel_mult: Sequence[int],
        channel_mult_emb: int,
        num_blocks: int,
        attn_resolutions: Sequence[int],
    ) -> None:
        super().__init__()
        check_whole(1, img_resolution=img_resolution, img_channels=img_channels, model_channels=model_channels)
        check_whole(1, channel_mult_emb=channel_mult_emb, num_blocks=num_blocks)
        check_whole(0, label_dim=label_dim, augment_dim=augment_dim)
        if not channel_mult:
            raise ValueError("channel_mult is empty: it has to name the width of each level")
        for factor in channel_mult:
            check_whole(1, channel_mult=factor)
        if img_resolution % 2 ** (len(channel_mult) - 1):
            raise ValueError(f"img_resolution {img_resolution} cannot be halved {len(channel_mult) - 1} times")
        self.img_resolution, self.img_channels, self.label_dim = img_resolution, img_channels, label_dim
        self.augment_dim = augment_dim
        self.out_channels = out_channels or img_channels
        self.widths = [model_channels * factor for factor in channel_mult]
        self.embedding = model_channels * channel_mult_emb
        self.num_blocks, self.attn_resolutions = num_blocks, tuple(attn_resolutions)
        self.enc, self.dec = nn.ModuleDict(), nn.ModuleDict()

    def build_encoder(self, first: int, options: dict[str, Any], aux_taps: Sequence[float] | None = None) -> list[int]:
        """Fill `enc`; `first` channels after the first convolution, `options` of every block.

        With `aux_taps` each lower level also sees the image, halved by that filter. Returns the skips' channels.
        """
        channels, aux = first, self.img_channels
        for level, width in enumerate(self.widths):
            side = self.img_resolution >> level
            if level:
                self.enc[f"{side}x{side}_down"] = Block(channels, channels, resample="down", **options)
                if aux_taps is not None:
                    residual = Conv2d(aux, channels, 3, "down", aux_taps, fused=True)
                    self.enc[f"{side}x{side}_aux_residual"], aux = residual, channels
            else:
                self.enc[f"{side}x{side}_conv"] = Conv2d(self.img_channels, channels, 3)
            for index in range(self.num_blocks):
                attention = side in self.attn_resolutions
                self.enc[f"{side}x{side}_block{index}"] = Block(channels, width, attention=attention, **options)
                channels = width
        return [int(stage.out_channels) for name, stage in self.enc.items() if "aux" not in name]  # type: ignore[arg-type]

    def build_decoder(self, skips: list[int], options: dict[str, Any], attend_last_only: bool) -> int:
        """Fill `dec`, whose blocks take up the skips from the last. Returns the channels at full resolution."""
        channels = self.widths[-1]
        for level, width in reversed(list(enumerate(self.widths))):
            side = self.img_resolution >> level
            if level == len(self.widths) - 1:
                self.dec[f"{side}x{side}_in0"] = Block(channels, channels, attention=True, **options)
                self.dec[f"{side}x{side}_in1"] = Block(channels, channels, **options)
            else:
                self.dec[f"{side}x{side}_up"] = Block(channels, channels, resample="up", **options)
            for index in range(self.num_blocks + 1):
                attention = side in self.attn_resolutions and (index == self.num_blocks or not attend_last_only)
                block = Block(channels + skips.pop(), width, attention=attention, **options)
                self.dec[f"{side}x{side}_block{index}"], channels = block, width
        return channels

    def encode(self, x: Tensor, embedding: Tensor) -> list[Tensor]:
        """The image [B, C, H, W] and the embedding [B, E] → every stage's output, the skips."""
        skips: list[Tensor] = []
        aux = x
        for name, stage in self.enc.items():
            if "aux" in name:
                x = aux = (x + stage(aux)) * math.sqrt(0.5)
                skips[-1] = x
            else:
                x = stage(x, embedding) if isinstance(stage, Block) else stage(x)
                skips.append(x)
        return skips

    def decode(self, skips: list[Tensor], embedding: Tensor) -> Tensor:
        """The skips and the embedding [B, E] → features [B, C', H, W]. Empties `skips`."""
        x = skips[-1]
        for stage in self.dec.values():
            if isinstance(stage, Block):
                if x.shape[1] < stage.in_channels:
                    x = torch.cat([x, skips.pop()], dim=1)
                x = stage(x, embedding)
        return x

    def label_embedding(self, labels: Tensor | None, like: Tensor, scale: float = 1.0) -> Tensor | float:
        """What one-hot labels [B, label_dim] times `scale` add to the embedding `like`; None counts as zeros."""
        if self.map_label is None:
            return 0.0
        if labels is None:
            labels = like.new_zeros(1, self.label_dim)
        added: Tensor = self.map_label(labels.to(like.dtype) * scale)
        return added

    def augment_embedding(self, augment_labels: Tensor | None) -> Tensor | float:
        """What augmentation labels [B, augment_dim] add to the embedding. Raises ValueError where it has none."""
        if augment_labels is None:
            return 0.0
        if self.map_augment is None:
            raise ValueError("this network was built without augmentation labels (augment_dim 0)")
        added: Tensor = self.map_augment(augment_labels)
        return added
