"""DDPM++ and NCSN++, the U-Nets of Song et al. in EDM's form (CIFAR-10, 64×64 faces)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from simcore.networks.blocks import Conv2d, FourierEmbedding, PositionalEmbedding, group_norm, quiet
from simcore.networks.edm_unet import EDMUNet, check_whole


class SongUNet(EDMUNet):
    """F(x, c_noise, labels). The defaults are CIFAR-10's DDPM++; arguments not listed here are EDMUNet's.

    Args:
        dropout: probability in every block, in training mode only.
        channel_mult_noise: width of the noise embedding in units of `model_channels`: 1 (DDPM++) or 2 (NCSN++).
        embedding_type: `positional` (DDPM++) or `fourier` (NCSN++).
        encoder_type: `standard` (DDPM++) or `residual` (NCSN++), which feeds the image to every level.
        decoder_type: `standard`.
        resample_filter: taps, [1, 1] (DDPM++) or [1, 3, 3, 1] (NCSN++).
    """

    def __init__(
        self,
        img_resolution: int,
        img_channels: int,
        out_channels: int | None = None,
        label_dim: int = 0,
        augment_dim: int = 0,
        model_channels: int = 128,
        channel_mult: Sequence[int] = (2, 2, 2),
        channel_mult_emb: int = 4,
        num_blocks: int = 4,
        attn_resolutions: Sequence[int] = (16,),
        dropout: float = 0.13,
        channel_mult_noise: int = 1,
        embedding_type: str = "positional",
        encoder_type: str = "standard",
        decoder_type: str = "standard",
        resample_filter: Sequence[float] = (1, 1),
    ) -> None:
        super().__init__(
            img_resolution,
            img_channels,
            out_channels,
            label_dim,
            augment_dim,
            model_channels,
            channel_mult,
            channel_mult_emb,
            num_blocks,
            attn_resolutions,
        )
        _one_of("embedding_type", embedding_type, "positional", "fourier")
        _one_of("encoder_type", encoder_type, "standard", "residual")
        _one_of("decoder_type", decoder_type, "standard")
        check_whole(1, channel_mult_noise=channel_mult_noise)
        noise = model_channels * channel_mult_noise
        if noise < 4 or noise % 2:
            raise ValueError(f"model_channels·channel_mult_noise has to be an even number from 4, not {noise}")
        self.map_noise = FourierEmbedding(noise) if embedding_type == "fourier" else PositionalEmbedding(noise, True)
        self.map_label = nn.Linear(label_dim, noise) if label_dim else None
        self.map_augment = nn.Linear(augment_dim, noise, bias=False) if augment_dim else None
        self.map_layer0 = nn.Linear(noise, self.embedding)
        self.map_layer1 = nn.Linear(self.embedding, self.embedding)

        options = {
            "embedding": self.embedding,
            "taps": resample_filter,
            "dropout": dropout,
            "skip_scale": math.sqrt(0.5),
            "eps": 1e-6,
            "scale_shift": False,
            "resample_proj": True,
        }
        skips = self.build_encoder(model_channels, options, resample_filter if encoder_type == "residual" else None)
        channels = self.build_decoder(skips, options, attend_last_only=True)
        self._output = f"{img_resolution}x{img_resolution}_aux_"
        self.dec[self._output + "norm"] = group_norm(channels, eps=1e-6)
        self.dec[self._output + "conv"] = quiet(Conv2d(channels, self.out_channels, 3))

    def forward(
        self, x: Tensor, c_noise: Tensor, labels: Tensor | None = None, augment_labels: Tensor | None = None
    ) -> Tensor:
        """x [B, C, H, W], c_noise [B], labels one-hot [B, label_dim], augment_labels [B, augment_dim] → like x."""
        cosines, sines = self.map_noise(c_noise).chunk(2, dim=1)
        embedding = torch.cat([sines, cosines], dim=1)
        embedding = embedding + self.label_embedding(labels, embedding, math.sqrt(self.label_dim))
        embedding = embedding + self.augment_embedding(augment_labels)
        embedding = silu(self.map_layer1(silu(self.map_layer0(embedding))))
        h = self.decode(self.encode(x, embedding), embedding)
        out: Tensor = self.dec[self._output + "conv"](silu(self.dec[self._output + "norm"](h)))
        return out


def _one_of(name: str, value: str, *known: str) -> None:
    if value not in known:
        raise ValueError(f"{name} '{value}' is not known; known: {', '.join(known)}")
