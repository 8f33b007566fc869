"""Run specifications: every setting of a distillation, typed, bounded and described.

Torch-free. The form, the API schema and the documentation are generated from these models, so a field added here
appears everywhere by itself. Symbols follow the paper: t is the EDM noise level, ψ the online denoiser, θ the student.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator


class Spec(BaseModel):
    """Base of all specifications: immutable, closed, finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def setting(default: Any = ..., *, help: str, unit: str = "", source: str = "", label: str = "", **bounds: Any) -> Any:
    """One field: its help line, unit, source in the paper (or "ours") and bounds."""
    extra: dict[str, Any] = {"unit": unit, "source": source}
    return Field(default, title=label or None, description=help, json_schema_extra=extra, **bounds)


class TimeSpec(Spec):
    """The law from which the noise level t is drawn. Draws outside the teacher's range are clamped to it."""

    law: Literal["edm", "sim", "karras", "lognormal", "discrete_uniform"] = setting(
        "edm",
        help="Noise level law: edm draws ln t from N(-1.2, 1.2²), sim from N(-3.5, 2.5²), karras the least noisy 80 % "
        "of EDM's sampling levels, lognormal what the fields below say; discrete_uniform is for discrete teachers.",
        source="B.5, B.8, B.9, B.3, A.2",
        label="Noise level law",
    )
    log_mean: float = setting(
        -2.0, ge=-20, le=20, help="Mean of ln t; only for law lognormal.", source="B.3", label="Mean of ln t"
    )
    log_std: float = setting(
        2.0,
        gt=0,
        le=20,
        help="Standard deviation of ln t; only for law lognormal.",
        source="B.3",
        label="Standard deviation of ln t",
    )
    low: float = setting(
        0.01,
        gt=0,
        le=1e4,
        help="Smallest t; lower draws are drawn again. Only for law lognormal.",
        unit="σ",
        source="B.3",
        label="Smallest t",
    )
    high: float = setting(
        156.6155,
        gt=0,
        le=1e4,
        help="Largest t; higher draws are drawn again. Only for law lognormal.",
        unit="σ",
        source="B.3",
        label="Largest t",
        validate_default=True,
    )
    steps: int | None = setting(
        None,
        ge=2,
        le=100_000,
        help="T, where t is one of the steps 1 … T-1; empty means the teacher's. Only for law discrete_uniform.",
        unit="steps",
        source="A.2",
        label="Steps T",
    )

    @field_validator("high")
    @classmethod
    def _window_holds_enough(cls, high: float, info: ValidationInfo) -> float:
        """Redrawing must come to an end: `low` to `high` holds at least 1 % of the lognormal law."""
        given = info.data
        if given.get("law") != "lognormal" or not {"log_mean", "log_std", "low"} <= given.keys():
            return high
        if high <= given["low"]:
            raise ValueError(f"high must be greater than low ({given['low']:g})")
        law = NormalDist(given["log_mean"], given["log_std"])
        share = law.cdf(math.log(high)) - law.cdf(math.log(given["low"]))
        if share < 0.01:
            raise ValueError(
                f"low to high holds {share:.1g} of the lognormal law, too little to draw from; "
                "widen it, or move log_mean"
            )
        return high


class GeneratorSpec(Spec):
    """The one-step generator g(z) = d(z, t*)."""

    init_sigma: float = setting(
        2.5,
        gt=0,
        le=100,
        help="Noise level t* at which the student maps noise to an image.",
        unit="σ",
        source="B.4",
        label="Initial noise t*",
    )


class ObjectiveSpec(Spec):
    """What the student θ minimises."""

    name: Literal["sim", "sid", "diff_instruct"] = setting(
        "sim",
        help="Training objective of the student: sim (Score Implicit Matching), sid (Score identity Distillation), "
        "diff_instruct (Diff-Instruct, KL divergence).",
        source="Algorithm 2",
        label="Objective",
    )
    distance: Literal["pseudo_huber", "squared_l2", "power", "exp_power", "l1", "huber"] = setting(
        "pseudo_huber",
        help="Distance d between the two denoisers; only for objective sim. The gradient is not exact for l1, "
        "whose derivative jumps.",
        source="Table 4",
        label="Distance",
    )
    pseudo_huber_c: float | None = setting(
        None,
        gt=0,
        le=1e3,
        help="Constant c of the pseudo-Huber distance; empty means 0.00054·√D, D the number of pixels × channels.",
        source="ours",
        label="Pseudo-Huber c",
    )
    power_alpha: int = setting(
        4,
        ge=2,
        le=16,
        multiple_of=2,
        help="Exponent α, an even number; only for distances power and exp_power.",
        source="Table 4; value ours",
        label="Exponent α",
    )
    exp_beta: float = setting(
        1e-3,
        gt=0,
        le=100,
        help="Factor β in the exponential; only for distance exp_power, which overflows where β is too large.",
        source="Table 4; value ours",
        label="Exponential β",
    )
    huber_delta: float = setting(
        0.1,
        gt=0,
        le=1e3,
        help="Pixel difference δ at which squares turn into absolute values; only for distance huber.",
        source="A.3; value ours",
        label="Huber δ",
    )
    sid_alpha: float = setting(
        1.2, ge=-1, le=2, help="Factor α of SiD's squared term; only for objective sid.", source="SiD", label="SiD α"
    )
    weighting: Literal["none", "edm", "vp", "epsilon", "sid"] = setting(
        "none",
        help="Weight w(t) of the student's loss: none is 1, edm, vp and epsilon are weights of the denoising loss, "
        "sid the inverse of the teacher's mean absolute error.",
        source="Table 5, B.7, B.11",
        label="Weighting",
    )
    time: TimeSpec = setting(
        TimeSpec(law="sim"), help="Noise levels of the student's loss.", source="B.9", label="Times"
    )


class DenoiserSpec(Spec):
    """How the online denoiser ψ follows the student."""

    steps: int = setting(
        1, ge=1, le=100, help="Updates of ψ for each update of θ.", source="Algorithm 2", label="ψ steps per θ step"
    )
    weighting: Literal["edm", "vp", "epsilon", "none"] = setting(
        "edm",
        help="Weight λ(t) of the denoising loss: edm is EDM's, vp the variance-preserving diffusion's g², "
        "epsilon 1/t², none 1.",
        source="B.7, A.2",
        label="Weighting",
    )
    time: TimeSpec = setting(TimeSpec(law="edm"), help="Noise levels of ψ's loss.", source="B.5", label="Times")


class OptimizerSpec(Spec):
    """Adam's settings."""

    learning_rate: float = setting(1e-5, gt=0, le=1, help="Adam's step size.", source="Table 5", label="Learning rate")
    beta1: float = setting(0.0, ge=0, lt=1, help="Adam's decay of the first moment.", source="Table 5", label="β₁")
    beta2: float = setting(0.999, ge=0, lt=1, help="Adam's decay of the second moment.", source="Table 5", label="β₂")
    epsilon: float = setting(1e-8, gt=0, le=1, help="Adam's term for numerical stability.", source="ours", label="ε")
    warm_up: int = setting(
        0,
        ge=0,
        le=10_000_000,
        help="Linear rise of the learning rate at the start; 0 for none.",
        unit="iterations",
        source="ours",
        label="Warm-up",
    )
    gradient_clip: float | None = setting(
        None,
        gt=0,
        le=1e9,
        help="Largest norm of the whole gradient, to which greater ones are scaled down; empty for none.",
        source="ours",
        label="Gradient clipping",
    )


class EmaSpec(Spec):
    """Exponential moving average of the student's weights: the weights that are sampled and exported."""

    half_life_kimg: float = setting(
        500.0,
        ge=0,
        le=1e6,
        help="Half-life of the average; 0 switches it off.",
        unit="kimg",
        source="ours, as SiD",
        label="Half-life",
    )
    ramp_up: float = setting(
        0.05,
        ge=0,
        le=1,
        help="Limits the half-life to this share of the images seen so far; 0 means no ramp-up.",
        source="ours, as SiD",
        label="Ramp-up ratio",
    )


Switch = Literal["auto", "on", "off"]


class ComputeSpec(Spec):
    """How an update of one network is computed: speed and memory, not what is learnt."""

    accumulation: int = setting(
        1,
        ge=1,
        le=65_536,
        help="Passes in which a batch goes through the networks, their gradients added up: less memory.",
        unit="passes",
        source="B.3",
        label="Gradient accumulation",
    )
    gradient_checkpointing: bool = setting(
        False,
        help="Compute the inside of each block again in the backward pass rather than keep it: less memory, more time.",
        source="B.3",
        label="Gradient checkpointing",
    )
    precision: Literal["fp32", "bf16", "fp16"] = setting(
        "fp32",
        help="Number type inside the networks; weights and losses are always fp32. fp16 scales its losses, "
        "and needs a GPU.",
        source="B.3",
        label="Precision",
    )
    memory_gib: float | None = setting(
        None,
        gt=0,
        le=100_000,
        help="Least memory of a device for the run to go there; empty: what weights, gradients and optimisers take. "
        "Say more where large batches keep many activations.",
        unit="GiB",
        source="ours",
        label="Least memory",
    )
    channels_last: Switch = setting(
        "auto",
        help="Keep the channels of a pixel together in memory; auto: on where it pays.",
        source="ours",
        label="Channels last",
    )
    compile: Switch = setting(
        "auto",
        help="Compile the networks with torch.compile: a slow start, faster iterations; auto: on where it pays.",
        source="ours",
        label="Compile",
    )


class PerformanceSpec(ComputeSpec):
    """How a distillation's updates are computed."""

    devices: int = setting(
        1,
        ge=1,
        le=1024,
        help="Training processes, each with a device of its own; every batch is divided among them.",
        unit="devices",
        source="ours",
        label="Devices",
    )
    share_samples: bool = setting(
        False,
        help="One batch of the generator serves ψ and θ: a generator pass less. The paper draws afresh for each.",
        source="Algorithm 2 draws afresh",
        label="Share samples",
    )

    @field_validator("share_samples")
    @classmethod
    def _shared_in_one_pass(cls, shared: bool, info: ValidationInfo) -> bool:
        if shared and info.data.get("accumulation", 1) > 1:
            raise ValueError(
                "share_samples keeps the generator's graph of the whole batch, which accumulation is there to avoid; "
                "set accumulation to 1"
            )
        return shared


class ScheduleSpec(Spec):
    """What the run writes, and how often."""

    samples_every: int = setting(
        50, ge=1, le=10_000_000, help="Draw the sample grid.", unit="iterations", source="ours", label="Samples every"
    )
    sample_count: int = setting(
        64, ge=1, le=1024, help="Images in the sample grid.", unit="images", source="ours", label="Images in a grid"
    )
    checkpoint_every: int = setting(
        250,
        ge=1,
        le=10_000_000,
        help="Save a checkpoint from which the run can resume.",
        unit="iterations",
        source="ours",
        label="Checkpoint every",
    )
    keep_last: int = setting(
        3,
        ge=1,
        le=1_000_000,
        help="The newest checkpoints to keep; older ones are removed.",
        unit="checkpoints",
        source="ours",
        label="Keep the last",
    )
    keep_best: bool = setting(
        True, help="Keep the checkpoint with the lowest Fréchet distance, too.", source="ours", label="Keep the best"
    )
    keep_every: int = setting(
        0,
        ge=0,
        le=10_000_000,
        help="Keep the checkpoints of every so many iterations, too; 0 keeps none for that reason.",
        unit="iterations",
        source="ours",
        label="Keep every",
    )


class EvaluationSpec(Spec):
    """Fréchet distance and class accuracy, for student and teacher alike."""

    every: int = setting(
        250,
        ge=0,
        le=10_000_000,
        help="Evaluate during the run; 0 means only at the end.",
        unit="iterations",
        source="ours",
        label="Evaluate every",
    )
    samples: int = setting(
        2_000,
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
        help="Images for the first and the last evaluation and the teacher's.",
        unit="images",
        source="ours",
        label="Images at the end",
    )
    at_start: bool = setting(
        True,
        help="Evaluate the student and the teacher before training. Off where another run from the same teacher did: "
        "both figures depend on the teacher only.",
        source="ours",
        label="Evaluate at the start",
    )
    teacher_steps: int = setting(
        18,
        ge=1,
        le=1000,
        help="Steps of the teacher's Heun sampler (2·steps − 1 evaluations).",
        unit="steps",
        source="EDM, CIFAR-10",
        label="Teacher's steps",
    )


class RunSpec(Spec):
    """One distillation, whole."""

    teacher: str = setting(
        "bundled:digits", min_length=1, max_length=500, help="The teacher to distil.", label="Teacher"
    )
    iterations: int = setting(
        2_500,
        ge=1,
        le=100_000_000,
        help="Updates of the student.",
        unit="iterations",
        source="ours",
        label="Iterations",
    )
    batch_size: int = setting(
        256, ge=1, le=65_536, help="Images in each update.", unit="images", source="Table 5", label="Batch size"
    )
    seed: int = setting(0, ge=0, le=2**63 - 1, help="Seed of all randomness of the run.", source="ours", label="Seed")
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
    dropout: float = setting(
        0.0,
        ge=0,
        lt=1,
        help="Dropout in θ and in ψ, each while it is trained.",
        source="A.2 has the modes; value ours",
        label="Dropout",
    )
    generator: GeneratorSpec = setting(GeneratorSpec(), help="The one-step generator.", label="Generator")
    objective: ObjectiveSpec = setting(ObjectiveSpec(), help="What the student θ minimises.", label="Student objective")
    denoiser: DenoiserSpec = setting(
        DenoiserSpec(), help="How ψ follows the student.", label="Online denoiser ψ", validate_default=True
    )
    student_optimizer: OptimizerSpec = setting(OptimizerSpec(), help="Adam for θ.", label="Optimiser of θ")
    denoiser_optimizer: OptimizerSpec = setting(OptimizerSpec(), help="Adam for ψ.", label="Optimiser of ψ")
    ema: EmaSpec = setting(EmaSpec(), help="Moving average of θ.", label="Moving average (EMA)")
    performance: PerformanceSpec = setting(
        PerformanceSpec(), help="Speed and memory.", label="Performance", validate_default=True
    )
    schedule: ScheduleSpec = setting(ScheduleSpec(), help="What is written, and how often.", label="Schedule")
    evaluation: EvaluationSpec = setting(EvaluationSpec(), help="Fréchet distance and accuracy.", label="Evaluation")

    @field_validator("performance")
    @classmethod
    def _whole_parts(cls, performance: PerformanceSpec, info: ValidationInfo) -> PerformanceSpec:
        parts, batch = performance.devices * performance.accumulation, info.data.get("batch_size", 0)
        if batch % parts:
            raise ValueError(
                f"devices × accumulation = {parts} has to divide the batch size, {batch}: parts must be alike"
            )
        return performance


class SpecError(ValueError):
    """A specification is wrong; `problems` maps a dotted field path to what is wrong with it."""

    def __init__(self, problems: dict[str, str]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{path or 'spec'}: {message}" for path, message in problems.items()))


_SpecT = TypeVar("_SpecT", bound=Spec)


def parse_spec(data: object) -> RunSpec:
    """Validate plain data as a RunSpec. Raises SpecError with one message for each wrong field."""
    return parse_as(RunSpec, data)


def parse_as(kind: type[_SpecT], data: object) -> _SpecT:
    """Validate plain data as a specification. Raises SpecError with one message for each wrong field."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        problems = {".".join(str(part) for part in e["loc"]): _message(e["msg"], e["input"]) for e in error.errors()}
        raise SpecError(problems) from None


def _message(text: str, given: object) -> str:
    text = text.removeprefix("Value error, ")
    shown = repr(given)
    return f"{text} (given: {shown})" if not isinstance(given, dict) and len(shown) <= 60 else text
