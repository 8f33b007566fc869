"""Fill in every automatic choice of a RunSpec, so that a run stores what it did. Torch-free."""

from __future__ import annotations

import math
import os
from importlib.metadata import version
from pathlib import Path

from simcore.config import RunSpec
from simcore.teacher_card import TeacherCard

PSEUDO_HUBER_FACTOR = 0.00054


def resolve(spec: RunSpec, card: TeacherCard) -> RunSpec:
    """The spec with c = 0.00054·√D, the threads and the device written out. Resolving twice changes nothing."""
    c = spec.objective.pseudo_huber_c or PSEUDO_HUBER_FACTOR * math.sqrt(math.prod(card.image_shape))
    return spec.model_copy(
        update={
            "objective": spec.objective.model_copy(update={"pseudo_huber_c": c}),
            "threads": spec.threads or available_cores(),
            "device": spec.device if spec.device != "auto" else "cuda" if has_cuda() else "cpu",
        }
    )


def available_cores() -> int:
    """The CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_cuda() -> bool:
    """Whether there is an NVIDIA driver and a PyTorch that is not built for the CPU only."""
    return Path("/dev/nvidiactl").exists() and not version("torch").endswith("+cpu")
