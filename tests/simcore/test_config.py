"""Which specifications are refused, where, and why."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from simcore.config import DenoiserSpec, ObjectiveSpec, RunSpec, SpecError, TimeSpec, parse_spec
from simcore.distances import DISTANCES
from simcore.noise import LAWS
from simcore.objectives import OBJECTIVES
from simcore.weighting import STUDENT_WEIGHTINGS, WEIGHTINGS

LOGNORMAL = {"law": "lognormal"}


def problems(spec: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(SpecError) as refusal:
        parse_spec(spec)
    return refusal.value.problems


def test_what_can_be_chosen_is_what_there_is() -> None:
    choices = {
        (ObjectiveSpec, "name"): OBJECTIVES,
        (ObjectiveSpec, "distance"): DISTANCES,
        (ObjectiveSpec, "weighting"): STUDENT_WEIGHTINGS,
        (DenoiserSpec, "weighting"): WEIGHTINGS,
        (TimeSpec, "law"): LAWS,
    }
    for (model, name), registry in choices.items():
        assert set(get_args(model.model_fields[name].annotation)) == set(registry)


def test_the_defaults_are_the_papers_choice() -> None:
    spec = RunSpec()
    assert (spec.objective.name, spec.objective.distance, spec.objective.weighting) == ("sim", "pseudo_huber", "none")
    assert (spec.objective.time.law, spec.denoiser.time.law, spec.denoiser.weighting) == ("sim", "edm", "edm")
    assert (spec.denoiser.steps, spec.generator.init_sigma) == (1, 2.5)


def test_every_objective_goes_with_every_distance_weighting_and_time() -> None:
    for name in OBJECTIVES:
        for distance in DISTANCES:
            for weighting in STUDENT_WEIGHTINGS:
                for law in ("edm", "sim", "karras", "lognormal"):
                    objective = {"name": name, "distance": distance, "weighting": weighting, "time": {"law": law}}
                    assert parse_spec({"objective": objective}).objective.time.law == law


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"objective": {"power_alpha": 3}}, "objective.power_alpha", "multiple of 2 (given: 3)"),
        ({"objective": {"exp_beta": 0}}, "objective.exp_beta", "greater than 0"),
        ({"objective": {"huber_delta": -1}}, "objective.huber_delta", "greater than 0"),
        ({"objective": {"sid_alpha": 3}}, "objective.sid_alpha", "less than or equal to 2"),
        ({"objective": {"distance": "l3"}}, "objective.distance", "'huber' (given: 'l3')"),
        ({"denoiser": {"weighting": "sid"}}, "denoiser.weighting", "'edm', 'vp', 'epsilon' or 'none'"),
        (
            {"objective": {"time": LOGNORMAL | {"low": 2, "high": 1}}},
            "objective.time.high",
            "high must be greater than low (2)",
        ),
        ({"denoiser": {"time": LOGNORMAL | {"low": 200}}}, "denoiser.time.high", "high must be greater than low (200)"),
        (
            {"objective": {"time": LOGNORMAL | {"log_mean": -15}}},
            "objective.time.high",
            "too little to draw from",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_field_and_reason(spec: dict[str, Any], field: str, message: str) -> None:
    found = problems(spec)
    assert list(found) == [field]
    assert message in found[field]


def test_a_window_is_only_looked_at_where_it_counts() -> None:
    assert parse_spec({"objective": {"time": {"law": "sim", "low": 2, "high": 1}}}).objective.time.low == 2
