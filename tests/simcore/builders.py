"""Small runs for the tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from simcore.config import EvaluationSpec, OptimizerSpec, RunSpec, ScheduleSpec
from simcore.control import Request
from simcore.events import Event
from simcore.pretrain_config import NetworkSpec, PretrainEvaluationSpec, PretrainSpec
from simcore.pretraining import pretrain
from simcore.resolve import resolve, resolve_pretraining
from simcore.teacher_card import read_card
from simcore.trained_teacher import Origin
from simcore.trainer import distill


def small_spec(**changes: Any) -> RunSpec:
    """A resolved distillation of the bundled teacher: a few iterations, small evaluations."""
    adam = OptimizerSpec(learning_rate=2e-4)
    settings: dict[str, Any] = {
        "iterations": 6,
        "batch_size": 8,
        "threads": 1,
        "device": "cpu",
        "student_optimizer": adam,
        "denoiser_optimizer": adam,
        "schedule": ScheduleSpec(samples_every=3, sample_count=20, checkpoint_every=3),
        "evaluation": EvaluationSpec(every=0, samples=100, final_samples=100, teacher_steps=4),
    }
    spec = RunSpec(**(settings | changes))
    return resolve(spec, read_card(spec.teacher))


class Script:
    """A control that answers the n-th poll with the n-th request."""

    def __init__(self, requests: Iterable[Request | None] = ()) -> None:
        self._requests = iter(requests)

    def poll(self) -> Request | None:
        return next(self._requests, None)


def run(
    spec: RunSpec, folder: Path, requests: Iterable[Request | None] = (), resume: Path | None = None
) -> list[Event]:
    """All events of a run."""
    return list(distill(spec, folder, Script(requests), resume))


def small_pretraining(**changes: Any) -> PretrainSpec:
    """A resolved training of a small teacher on the digits, with dropout, that draws, measures and checkpoints."""
    settings: dict[str, Any] = {
        "iterations": 6,
        "batch_size": 8,
        "threads": 1,
        "device": "cpu",
        "network": NetworkSpec(model_channels=8),
        "schedule": ScheduleSpec(samples_every=3, sample_count=20, checkpoint_every=3),
        "evaluation": PretrainEvaluationSpec(every=2, samples=100, final_samples=100, steps=2),
    }
    return resolve_pretraining(PretrainSpec(**(settings | changes)))


def run_pretraining(
    spec: PretrainSpec, folder: Path, requests: Iterable[Request | None] = (), resume: Path | None = None
) -> list[Event]:
    """All events of a teacher's training; the teacher lies in the folder's `teacher`."""
    teacher, origin = folder / "teacher", Origin("the command")
    return list(pretrain(spec, folder, Script(requests), resume, teacher=teacher, origin=origin))
