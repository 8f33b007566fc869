"""Each preset against the paper's tables, written out here. Everything else is declared as ours."""

from __future__ import annotations

from typing import Any

import pytest

from simcore.commands.common import differences
from simcore.config import RunSpec
from simcore.presets import PRESETS, diff_instruct_cell, figure_2_cells, find_preset
from simcore.teacher_card import TeacherError, read_card

ADAM = {"beta1": 0.0, "beta2": 0.999}
# Table 5, Algorithm 2 and B.2. Both columns of CIFAR-10 are alike.
CIFAR10: dict[str, Any] = {
    "batch_size": 256,
    "generator.init_sigma": 2.5,
    "objective.name": "sim",
    "objective.distance": "pseudo_huber",
    "objective.weighting": "none",
    "objective.time.law": "sim",
    "denoiser.steps": 1,
    "denoiser.weighting": "edm",
    "denoiser.time.law": "edm",
    "student_optimizer.learning_rate": 1e-5,
    "denoiser_optimizer.learning_rate": 1e-5,
    **{f"student_optimizer.{name}": value for name, value in ADAM.items()},
    **{f"denoiser_optimizer.{name}": value for name, value in ADAM.items()},
}
# A.2, Listing 1. Its z is the toy's own prior, and it has no t*.
TOY: dict[str, Any] = {
    "batch_size": 2000,
    "objective.name": "sim",
    "objective.distance": "pseudo_huber",
    "objective.weighting": "none",
    "objective.time.law": "discrete_uniform",
    "denoiser.steps": 2,
    "denoiser.weighting": "vp",
    "denoiser.time.law": "discrete_uniform",
    "student_optimizer.learning_rate": 1e-3,
    "denoiser_optimizer.learning_rate": 1e-3,
    **{f"student_optimizer.{name}": value for name, value in ADAM.items()},
    **{f"denoiser_optimizer.{name}": value for name, value in ADAM.items()},
}
OF_THE_DIGITS = ("batch_size", "student_optimizer.learning_rate", "denoiser_optimizer.learning_rate")
TABLES = {
    "cifar10-uncond": CIFAR10,
    "cifar10-cond": CIFAR10,
    "digits-demo": {path: value for path, value in CIFAR10.items() if path not in OF_THE_DIGITS},
    "mnist": {path: value for path, value in CIFAR10.items() if path not in OF_THE_DIGITS},
    "toy-2d": TOY,
}
# Settings of choices that these presets do not make.
UNUSED = {
    *("objective.power_alpha", "objective.exp_beta", "objective.huber_delta", "objective.sid_alpha"),
    *(
        f"{who}.time.{name}"
        for who in ("objective", "denoiser")
        for name in ("log_mean", "log_std", "low", "high", "steps")
    ),
}


def leaves(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def test_every_preset_is_held_against_a_table() -> None:
    assert set(PRESETS) == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_a_preset_says_what_its_table_says(name: str) -> None:
    found = leaves(find_preset(name).spec.model_dump())
    assert {path: found[path] for path in TABLES[name]} == TABLES[name]


@pytest.mark.parametrize("name", TABLES)
def test_what_the_table_leaves_open_is_declared_ours_and_nothing_else_is(name: str) -> None:
    preset = find_preset(name)
    paths = set(leaves(preset.spec.model_dump())) - UNUSED
    ours = {path for path in paths for group in preset.ours if path == group or path.startswith(f"{group}.")}
    assert paths - ours == set(TABLES[name])
    assert ours.isdisjoint(TABLES[name])


def test_a_preset_whose_teacher_is_missing_says_how_to_get_it() -> None:
    preset = find_preset("cifar10-cond")
    assert "edm-cifar10-32x32-cond-vp.pkl" in preset.description
    with pytest.raises(TeacherError, match=r"no teacher 'teachers/edm-cifar10-32x32-cond-vp'.*import-teacher"):
        read_card(preset.spec.teacher)


def test_the_ablation_is_the_figures_eight_cells() -> None:
    cells = figure_2_cells(find_preset("digits-demo").spec)
    found = {name: (o.name, o.weighting, o.time.law) for name, spec in cells.items() for o in (spec.objective,)}
    assert found == {
        "sim-nowgt-lognormal": ("sim", "none", "sim"),
        "sim-nowgt-karras": ("sim", "none", "karras"),
        "sim-sidwgt-lognormal": ("sim", "sid", "sim"),
        "sim-sidwgt-karras": ("sim", "sid", "karras"),
        "sid-nowgt-lognormal": ("sid", "none", "sim"),
        "sid-nowgt-karras": ("sid", "none", "karras"),
        "sid-sidwgt-lognormal": ("sid", "sid", "sim"),
        "sid-sidwgt-karras": ("sid", "sid", "karras"),
    }


@pytest.mark.parametrize("name", TABLES)
def test_the_cells_differ_from_their_base_in_the_objective_only(name: str) -> None:
    base = find_preset(name).spec
    for spec in [*figure_2_cells(base).values(), diff_instruct_cell(base)]:
        assert RunSpec.model_validate(spec.model_dump()) == spec
        assert set(differences(base, spec)) <= {"objective.name", "objective.weighting", "objective.time.law"}
    if base.objective.time.law == "sim":
        assert figure_2_cells(base)["sim-nowgt-lognormal"] == base


def test_the_cells_are_the_same_whatever_objective_the_base_had() -> None:
    base = RunSpec()
    changed = RunSpec.model_validate({"objective": {"name": "sid", "distance": "l1", "sid_alpha": 0.5}})
    assert figure_2_cells(changed) == figure_2_cells(base)


def test_diff_instruct_has_its_own_times_and_weight() -> None:
    objective = diff_instruct_cell(RunSpec()).objective
    assert (objective.name, objective.weighting, objective.time.law) == ("diff_instruct", "none", "edm")


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match="unknown preset 'x'; known presets: cifar10-cond, cifar10-uncond, digits-demo"
    ):
        find_preset("x")
