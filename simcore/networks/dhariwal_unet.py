"""ADM, the U-Net of Dhariwal and Nichol in EDM's form (ImageNet-64)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import silu

from simcore.networks.blocks import Conv2d, PositionalEmbedding, group_norm, quiet
from simcore.networks.edm_unet import EDMUNet


class DhariwalUNet(EDMUNet):
    """F(x, c_noise, labels). The defaults are ImageNet-64's; arguments not listed here are EDMUNet's.

    Args:
        dropout: probability in every block, in training mode only.
        resample_filter: taps of the filter that halves and doubles.
    """

    def __init__(
        self,
        img_resolution: int,
        img_channels: int,
        out_channels: int | None = None,
        label_dim: int = 0,
        augment_dim: int = 0,
        model_channels: int = 192,
        channel_mult: Sequence[int] = (1, 2, 3, 4),
        channel_mult_emb: int = 4,
        num_blocks: int = 3,
        attn_resolutions: Sequence[int] = (32, 16, 8),
        dropout: float = 0.1,
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
        if model_channels % 2:
            raise ValueError(f"model_channels has to be even, not {model_channels}")
        self.map_noise = PositionalEmbedding(model_channels, endpoint=False)
        self.map_augment = nn.Linear(augment_dim, model_channels, bias=False) if augment_dim else None
        self.map_layer0 = nn.Linear(model_channels, self.embedding)
        self.map_layer1 = nn.Linear(self.embedding, self.embedding)
        self.map_label = nn.Linear(label_dim, self.embedding, bias=False) if label_dim else None

        options = {
            "embedding": self.embedding,
            "taps": resample_filter,
            "dropout": dropout,
            "channels_per_head": 64,
        }
        skips = self.build_encoder(self.widths[0], options)
        channels = self.build_decoder(skips, options, attend_last_only=False)
        self.out_norm = group_norm(channels)
        self.out_conv = quiet(Conv2d(channels, self.out_channels, 3))

    def forward(
        self, x: Tensor, c_noise: Tensor, labels: Tensor | None = None, augment_labels: Tensor | None = None
    ) -> Tensor:
        """x [B, C, H, W], c_noise [B], labels one-hot [B, label_dim], augment_labels [B, augment_dim] → like x."""
        embedding = self.map_noise(c_noise) + self.augment_embedding(augment_labels)
        embedding = self.map_layer1(silu(self.map_layer0(embedding)))
        embedding = silu(embedding + self.label_embedding(labels, embedding))
        h = self.decode(self.encode(x, embedding), embedding)
        out: Tensor = self.out_conv(silu(self.out_norm(h)))
        return out
