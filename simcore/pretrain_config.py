"""Specifications of a teacher's own training: its network and its schedule. Torch-free."""

from __future__ import annotations

from typing import Literal

from simcore.config import EmaSpec, OptimizerSpec, Spec, TimeSpec, setting
from simcore.figures import POINT_SETS


class NetworkSpec(Spec):
    """A compact U-Net in EDM's preconditioning."""

    model_type: Literal["CompactUNet"] = setting("CompactUNet", help="A U-Net for small images.", label="Kind")
    preconditioning: Literal["edm"] = setting("edm", help="EDM's.", source="EDM", label="Preconditioning")
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

    @property
    def loss(self) -> tuple[TimeSpec, str]:
        """The noise levels of the denoising loss, and its weighting."""
        return TimeSpec(law="edm"), "edm"


class PointNetworkSpec(Spec):
    """A multilayer perceptron in the discrete variance-preserving preconditioning, for points in the plane (A.2)."""

    model_type: Literal["PointMLP"] = setting("PointMLP", help="A perceptron for points.", label="Kind")
    preconditioning: Literal["discrete_vp"] = setting(
        "discrete_vp", help="The discrete variance-preserving diffusion.", source="A.2", label="Preconditioning"
    )
    steps: int = setting(1000, ge=2, le=100_000, help="T.", unit="steps", source="A.2; value ours", label="Steps T")
    width: int = setting(96, ge=1, le=4096, help="Units of a hidden layer.", source="ours", label="Width")
    depth: int = setting(4, ge=1, le=64, help="Hidden layers.", source="ours", label="Depth")

    @property
    def loss(self) -> tuple[TimeSpec, str]:
        """The noise levels of the denoising loss, and its weighting."""
        return TimeSpec(law="discrete_uniform", steps=self.steps), "epsilon"


class PretrainSpec(Spec):
    """The training of a teacher on a data set, by denoising score matching."""

    dataset: str = setting(
        "digits",
        min_length=1,
        max_length=4096,
        help="Data set, by name or by the path of its files; its training split is used.",
        label="Data set",
    )
    network: NetworkSpec | PointNetworkSpec = setting(
        NetworkSpec(), discriminator="model_type", help="The teacher's network.", label="Network"
    )
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
    evaluation_samples: int = setting(
        16_000,
        ge=100,
        le=1_000_000,
        help="Samples by which the finished teacher is measured.",
        source="ours",
        label="Evaluation samples",
    )
    seed: int = setting(0, ge=0, le=2**63 - 1, help="Seed of all randomness.", source="ours", label="Seed")
    threads: int | None = setting(
        None, ge=1, le=1024, help="CPU threads; empty means one for each core.", unit="threads", label="Threads"
    )


_POINTS = PretrainSpec(
    network=PointNetworkSpec(),
    conditional=False,
    iterations=4_000,
    batch_size=1_000,
    optimizer=OptimizerSpec(learning_rate=4e-3, beta1=0.9, beta2=0.99, warm_up=200),
    dropout=0,
    ema=EmaSpec(ramp_up=0.1),
)
_MNIST = PretrainSpec(
    dataset="mnist",
    network=NetworkSpec(model_channels=16, channel_mult=(1, 2, 4)),
    batch_size=64,
    dropout=0.1,
    evaluation_samples=4_000,  # 35 evaluations of a 32×32 image are slow on a CPU
)


def standard_spec(dataset: str) -> PretrainSpec:
    """What suits the data set; the bundled teachers were trained so."""
    if dataset in POINT_SETS:
        return _POINTS.model_copy(update={"dataset": dataset})
    return _MNIST if dataset == "mnist" else PretrainSpec(dataset=dataset)
