"""Specifications of a teacher's own training: its network and its schedule. Torch-free."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from simcore.config import ComputeSpec, EmaSpec, OptimizerSpec, ScheduleSpec, Spec, SpecError, TimeSpec, setting
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
    channel_mult: tuple[Annotated[int, Field(ge=1, le=16)], ...] = setting(
        (1, 2),
        min_length=1,
        max_length=4,
        help="Width of each level, in units of the channels, as in 1, 2, 4; each level halves the resolution.",
        source="ours",
        label="Multipliers",
    )
    num_blocks: int = setting(1, ge=1, le=8, help="Residual blocks of each level.", source="ours", label="Blocks")
    attention: bool = setting(True, help="Self-attention at the lowest resolution.", source="ours", label="Attention")

    @field_validator("channel_mult", mode="before")
    @classmethod
    def _words(cls, given: object) -> object:
        """As people write it in a form: "1, 2, 4"."""
        return given.replace(",", " ").split() if isinstance(given, str) else given

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


class PretrainEvaluationSpec(Spec):
    """How the teacher in training is measured, where there is something to measure it with."""

    every: int = setting(
        1_000,
        ge=0,
        le=10_000_000,
        help="Evaluate during the run; 0 means only at the end.",
        unit="iterations",
        source="ours",
        label="Evaluate every",
    )
    samples: int = setting(
        1_000,
        ge=100,
        le=1_000_000,
        help="Images for each evaluation during the run.",
        unit="images",
        source="ours",
        label="Images during the run",
    )
    final_samples: int = setting(
        16_000,
        ge=100,
        le=1_000_000,
        help="Images by which the finished teacher is measured; the figures go into its card.",
        unit="images",
        source="ours",
        label="Images at the end",
    )
    steps: int = setting(
        18,
        ge=1,
        le=1000,
        help="Steps of the Heun sampler (2·steps − 1 evaluations), for grids and figures.",
        unit="steps",
        source="EDM, CIFAR-10",
        label="Sampler's steps",
    )


class PretrainSpec(Spec):
    """The training of a teacher on a data set, by denoising score matching."""

    dataset: str = setting(
        "digits",
        min_length=1,
        max_length=4096,
        help="Data set, by name or by the path of its files; its training split is used.",
        label="Data set",
    )
    conditional: bool = setting(True, help="Condition on the class.", source="ours", label="Class-conditional")
    iterations: int = setting(
        2_500, ge=1, le=100_000_000, help="Updates.", unit="iterations", source="ours", label="Iterations"
    )
    batch_size: int = setting(
        128, ge=1, le=65_536, help="Images in each update.", unit="images", source="ours", label="Batch size"
    )
    dropout: float = setting(0.15, ge=0, lt=1, help="Dropout in training.", source="ours", label="Dropout")
    seed: int = setting(0, ge=0, le=2**63 - 1, help="Seed of all randomness.", source="ours", label="Seed")
    device: Literal["auto", "cpu", "cuda"] = setting(
        "auto", help="Where to train; auto takes a GPU where there is one.", source="ours", label="Device"
    )
    threads: int | None = setting(
        None,
        ge=1,
        le=1024,
        help="CPU threads; empty means one for each core.",
        unit="threads",
        source="ours",
        label="Threads",
    )
    network: NetworkSpec | PointNetworkSpec = setting(
        NetworkSpec(), discriminator="model_type", help="The teacher's network.", label="Network"
    )
    optimizer: OptimizerSpec = setting(
        OptimizerSpec(learning_rate=2e-3, beta1=0.9, beta2=0.99, warm_up=200),
        help="Adam; after the warm-up its learning rate falls linearly to 0.",
        source="ours",
        label="Optimiser",
    )
    ema: EmaSpec = setting(
        EmaSpec(half_life_kimg=50),
        help="Moving average of the weights: the teacher that is kept.",
        label="Moving average (EMA)",
    )
    performance: ComputeSpec = setting(
        ComputeSpec(), help="Speed and memory.", label="Performance", validate_default=True
    )
    schedule: ScheduleSpec = setting(
        ScheduleSpec(samples_every=250, checkpoint_every=500), help="What is written, and how often.", label="Schedule"
    )
    evaluation: PretrainEvaluationSpec = setting(
        PretrainEvaluationSpec(), help="Fréchet distance and accuracy.", label="Evaluation"
    )

    @field_validator("performance")
    @classmethod
    def _whole_parts(cls, performance: ComputeSpec, info: ValidationInfo) -> ComputeSpec:
        parts, batch = performance.accumulation, info.data.get("batch_size", 0)
        if batch % parts:
            raise ValueError(f"accumulation = {parts} has to divide the batch size, {batch}: parts must be alike")
        return performance


def denoiser_config(
    spec: PretrainSpec, image_shape: tuple[int, int, int], classes: int, name: str = "the data set"
) -> dict[str, Any]:
    """What `build_denoiser` takes for this spec and data set. Raises SpecError where they do not go together."""
    channels, side, width = image_shape
    if side != width:
        raise SpecError({"dataset": f"the network takes square images; those of {name} are {width}×{side}"})
    if (channels == 2) != isinstance(spec.network, PointNetworkSpec):  # images are grey or RGB
        holds, network = ("points", "PointMLP") if channels == 2 else ("images", "CompactUNet")
        raise SpecError({"network.model_type": f"{name} holds {holds}, which take a {network}"})
    if spec.conditional and not classes:
        raise SpecError({"conditional": f"{name} has no labels: train without them (conditional false)"})
    if isinstance(spec.network, NetworkSpec):
        halvings = len(spec.network.channel_mult) - 1
        if side % 2**halvings:
            message = f"images of {side}×{side} pixels cannot be halved {halvings} times: take fewer levels"
            raise SpecError({"network.channel_mult": message})
        if odd := [width for pair in block_widths(spec.network) for width in pair if width % min(32, width // 4)]:
            message = f"{odd[0]} channels do not divide into 32 groups: take a multiple of 32"
            raise SpecError({"network.model_channels": message})
    return {
        "img_resolution": side,
        "img_channels": channels,
        "label_dim": classes if spec.conditional else 0,
        **spec.network.model_dump(mode="json"),
    }


def block_widths(network: NetworkSpec) -> list[tuple[int, int]]:
    """(input, output) channels of every residual block of the compact U-Net, in order."""
    levels = [network.model_channels * factor for factor in network.channel_mult]
    widths, skips, current = [], [], levels[0]
    for level in levels:
        for _ in range(network.num_blocks):
            widths.append((current, level))
            current = level
            skips.append(level)
    for level in reversed(levels):
        widths.append((current, level))
        widths += [(level + skips.pop(), level) for _ in range(network.num_blocks)]
        current = level
    return widths


def parameters_of(config: dict[str, Any]) -> int:
    """The number of parameters of the compact U-Net of that configuration, without building it."""
    network = NetworkSpec.model_validate({name: config[name] for name in NetworkSpec.model_fields})
    levels = [network.model_channels * factor for factor in network.channel_mult]
    base, width = network.model_channels, 4 * network.model_channels
    images, classes = int(config["img_channels"]), int(config["label_dim"])
    noise_and_label = (base + 1 + width + 1 + classes) * width
    ends = 9 * images * levels[0] + levels[0] + 2 * levels[0] + 9 * levels[0] * images + images
    attention = 4 * levels[-1] ** 2 + 6 * levels[-1] if network.attention else 0
    return noise_and_label + ends + attention + sum(_in_block(*pair, width) for pair in block_widths(network))


def _in_block(before: int, after: int, embedding: int) -> int:
    """Two norms, two 3×3 convolutions, the modulation and, where the width changes, the 1×1 skip."""
    norms, modulation = 2 * (before + after), 2 * after * (embedding + 1)
    convolutions = after * (9 * before + 1) + after * (9 * after + 1)
    return norms + modulation + convolutions + (after * (before + 1) if before != after else 0)


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
    evaluation=PretrainEvaluationSpec(final_samples=4_000),  # 35 evaluations of a 32×32 image are slow on a CPU
)


def standard_spec(dataset: str) -> PretrainSpec:
    """What suits the data set; the bundled teachers were trained so."""
    if dataset in POINT_SETS:
        return _POINTS.model_copy(update={"dataset": dataset})
    return _MNIST if dataset == "mnist" else PretrainSpec(dataset=dataset)
