"""Specifications of a teacher's own training: its network and its schedule. Torch-free."""

from __future__ import annotations

from simcore.config import EmaSpec, OptimizerSpec, Spec, setting


class NetworkSpec(Spec):
    """A compact U-Net."""

    model_channels: int = setting(
        32,
        ge=8,
        le=512,
        multiple_of=8,
        help="Width at full resolution.",
        unit="channels",
        source="ours",
        label="Channels",
    )
    channel_mult: tuple[int, ...] = setting(
        (1, 2),
        min_length=1,
        max_length=4,
        help="Width of each level, in units of the first.",
        source="ours",
        label="Multipliers",
    )
    num_blocks: int = setting(1, ge=1, le=8, help="Residual blocks of each level.", source="ours", label="Blocks")
    attention: bool = setting(True, help="Self-attention at the lowest resolution.", source="ours", label="Attention")


class PretrainSpec(Spec):
    """The training of a teacher on a data set, by denoising score matching (EDM)."""

    dataset: str = setting(
        "digits",
        min_length=1,
        max_length=4096,
        help="Data set, by name or by the path of its files; its training split is used.",
        label="Data set",
    )
    network: NetworkSpec = setting(NetworkSpec(), help="The teacher's network.", label="Network")
    conditional: bool = setting(True, help="Condition on the class.", source="ours", label="Class-conditional")
    iterations: int = setting(
        2_500, ge=1, le=100_000_000, help="Updates.", unit="iterations", source="ours", label="Iterations"
    )
    batch_size: int = setting(
        128, ge=1, le=65_536, help="Images in each update.", unit="images", source="ours", label="Batch size"
    )
    optimizer: OptimizerSpec = setting(
        OptimizerSpec(learning_rate=2e-3, beta1=0.9, beta2=0.99, warm_up=200),
        help="Adam; after the warm-up its learning rate falls linearly to 0.",
        source="ours",
        label="Optimiser",
    )
    dropout: float = setting(0.15, ge=0, lt=1, help="Dropout in training.", source="ours", label="Dropout")
    ema: EmaSpec = setting(
        EmaSpec(half_life_kimg=50), help="Moving average of the weights.", label="Moving average (EMA)"
    )
    seed: int = setting(0, ge=0, le=2**63 - 1, help="Seed of all randomness.", source="ours", label="Seed")
    threads: int | None = setting(
        None, ge=1, le=1024, help="CPU threads; empty means one for each core.", unit="threads", label="Threads"
    )
