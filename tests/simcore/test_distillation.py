"""One update with every choice of objective, distance, weighting and time, on the bundled teacher."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from simcore.config import RunSpec
from simcore.distances import DISTANCES
from simcore.distillation import Distillation
from simcore.resolve import resolve
from simcore.teachers import load_teacher
from simcore.updates import TrainingError
from tests.simcore.builders import small_spec


def distillation(**objective: Any) -> Distillation:
    plain = small_spec().model_dump()
    plain["objective"] |= objective
    card, teacher = load_teacher(plain["teacher"])
    return Distillation(resolve(RunSpec.model_validate(plain), card), card, teacher)


CHOICES: list[dict[str, Any]] = [
    *({"distance": distance} for distance in DISTANCES),
    {"name": "sid", "weighting": "sid", "time": {"law": "karras"}},
    {"name": "diff_instruct", "time": {"law": "edm"}},
    {"weighting": "edm", "time": {"law": "lognormal", "low": 0.1, "high": 2.0}},
]


def test_every_choice_trains_and_each_in_its_own_way() -> None:
    losses = set()
    for choice in CHOICES:
        run = distillation(**choice)
        first, second = run.advance(), run.advance()
        assert all(math.isfinite(value) for value in (first | second).values())
        assert second["student_grad_norm"] > 0
        losses.add(second["student_loss"])
    assert len(losses) == len(CHOICES)


def test_an_overflowing_distance_stops_the_run_and_names_the_setting() -> None:
    run = distillation(distance="exp_power", power_alpha=2, exp_beta=100)
    with torch.no_grad():
        for weight in run.denoiser.network.parameters():
            weight.mul_(2)  # far from the teacher
    with pytest.raises(TrainingError, match=r"in iteration 1; its exponent .* a smaller objective.exp_beta") as error:
        run.advance()
    assert error.value.part == "distance"
