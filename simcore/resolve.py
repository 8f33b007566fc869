"""Fill in every automatic choice of a RunSpec, so that a run stores what it did. Torch-free."""

from __future__ import annotations

import math
import os
from importlib.metadata import version
from pathlib import Path
from statistics import NormalDist
from typing import TypeVar

from simcore.config import ComputeSpec, RunSpec, SpecError, Switch, TimeSpec
from simcore.noise_levels import teacher_sigma_range
from simcore.pretrain_config import PointNetworkSpec, PretrainSpec
from simcore.teacher_card import TeacherCard

Compute = TypeVar("Compute", bound=ComputeSpec)

PSEUDO_HUBER_FACTOR = 0.00054
LEAST_SHARE = 0.01  # of a law, that has to lie where the teacher was trained


def resolve(spec: RunSpec, card: TeacherCard) -> RunSpec:
    """The spec with c = 0.00054·√D, steps, threads, device and switches written out. Resolving twice changes nothing.

    Raises SpecError where the spec does not fit the teacher.
    """
    _check_range(spec, card)
    if card.config.get("model_type") == "PointMLP":
        _check_points(spec.dropout, spec.performance)
    device = spec.device if spec.device != "auto" else "cuda" if has_cuda() else "cpu"
    c = spec.objective.pseudo_huber_c or PSEUDO_HUBER_FACTOR * math.sqrt(math.prod(card.image_shape))
    return spec.model_copy(
        update={
            "objective": spec.objective.model_copy(
                update={"pseudo_huber_c": c, "time": _with_steps(spec.objective.time, "objective.time", card)}
            ),
            "denoiser": spec.denoiser.model_copy(
                update={"time": _with_steps(spec.denoiser.time, "denoiser.time", card)}
            ),
            "threads": spec.threads or max(1, available_cores() // spec.performance.devices),
            "device": device,
            "performance": _performance(spec.performance, device),
        }
    )


def resolve_pretraining(spec: PretrainSpec) -> PretrainSpec:
    """The spec with threads, device and switches written out. Raises SpecError where they do not go together."""
    device = spec.device if spec.device != "auto" else "cuda" if has_cuda() else "cpu"
    if isinstance(spec.network, PointNetworkSpec):
        _check_points(spec.dropout, spec.performance)
    chosen = {"threads": spec.threads or available_cores(), "device": device}
    return spec.model_copy(update={**chosen, "performance": _performance(spec.performance, device)})


def _performance(given: Compute, device: str) -> Compute:
    """With every switch on or off: measured on a CPU (docs/benchmarks.md), for a GPU as PyTorch advises."""
    if given.precision == "fp16" and device != "cuda":
        raise SpecError({"performance.precision": f"fp16 needs a GPU (device is {device}); use bf16 or fp32"})
    auto: Switch = "on" if device == "cuda" else "off"
    switches = {"channels_last": given.channels_last, "compile": given.compile}
    return given.model_copy(update={name: auto if value == "auto" else value for name, value in switches.items()})


def _check_range(spec: RunSpec, card: TeacherCard) -> None:
    """t* lies, and a lognormal law draws, where the teacher has been trained."""
    low, high = teacher_sigma_range(card.config)
    its = f"the noise levels of {card.title} go from {low:.4g} to {high:.4g}"
    problems = {}
    if not low <= spec.generator.init_sigma <= high:
        problems["generator.init_sigma"] = f"{its} (given: {spec.generator.init_sigma:g})"
    for path, time in (("objective.time", spec.objective.time), ("denoiser.time", spec.denoiser.time)):
        if time.law == "lognormal" and _share_within(time, low, high) < LEAST_SHARE:
            problems[f"{path}.low"] = f"{its}; less than {LEAST_SHARE:.0%} of what the law draws lies there"
    if problems:
        raise SpecError(problems)


def _share_within(time: TimeSpec, low: float, high: float) -> float:
    """The share of the truncated lognormal law between `low` and `high`."""
    law = NormalDist(time.log_mean, time.log_std)
    first, last = (law.cdf(math.log(bound)) for bound in (time.low, time.high))
    inner = [min(max(law.cdf(math.log(bound)), first), last) for bound in (low, high)]
    return (inner[1] - inner[0]) / (last - first)


def _check_points(dropout: float, performance: ComputeSpec) -> None:
    """The network of points has neither dropout nor blocks."""
    problems = {}
    if dropout:
        problems["dropout"] = f"the network of points has none: set 0 (given: {dropout:g})"
    if performance.gradient_checkpointing:
        problems["performance.gradient_checkpointing"] = "the network of points has no blocks: switch it off"
    if problems:
        raise SpecError(problems)


def _with_steps(time: TimeSpec, path: str, card: TeacherCard) -> TimeSpec:
    """The law discrete_uniform draws a discrete teacher's levels, whose configuration says how many `steps` it has."""
    if time.law != "discrete_uniform":
        return time
    steps = card.config.get("steps")
    if steps is None:
        raise SpecError({f"{path}.law": f"discrete_uniform counts steps, but {card.title} has continuous noise levels"})
    if time.steps not in (None, steps):
        raise SpecError({f"{path}.steps": f"{card.title} has {steps} steps (given: {time.steps})"})
    return time.model_copy(update={"steps": steps})


def available_cores() -> int:
    """The CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_cuda() -> bool:
    """Whether there is an NVIDIA driver and a PyTorch that is not built for the CPU only."""
    return Path("/dev/nvidiactl").exists() and not version("torch").endswith("+cpu")
