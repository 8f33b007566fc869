import math

import pytest

from simcore.config import RunSpec, SpecError
from simcore.presets import PRESETS
from simcore.resolve import available_cores, resolve
from simcore.teacher_card import TeacherCard, bundled_references, read_card

CARD = read_card("bundled:digits")


def test_every_automatic_choice_is_written_out() -> None:
    spec = resolve(RunSpec(), CARD)
    assert spec.objective.pseudo_huber_c == 0.00054 * math.sqrt(64)
    assert spec.threads == available_cores() >= 1
    assert spec.device in ("cpu", "cuda")
    assert {spec.performance.compile, spec.performance.channels_last} <= {"on", "off"}


def test_the_cores_are_divided_among_the_processes() -> None:
    spec = RunSpec.model_validate({"performance": {"devices": 2}})
    assert resolve(spec, CARD).threads == max(1, available_cores() // 2)


def test_fp16_without_a_gpu_is_refused_with_what_would_do() -> None:
    spec = RunSpec.model_validate({"device": "cpu", "performance": {"precision": "fp16"}})
    with pytest.raises(SpecError, match=r"performance.precision: fp16 needs a GPU \(device is cpu\); use bf16 or fp32"):
        resolve(spec, CARD)


def test_choices_that_were_made_stay_and_resolving_twice_changes_nothing() -> None:
    switches = {"compile": "on", "channels_last": "off"}
    choices = {"threads": 3, "device": "cpu", "objective": {"pseudo_huber_c": 0.5}, "performance": switches}
    chosen = RunSpec.model_validate(choices)
    assert resolve(chosen, CARD) == chosen
    once = resolve(RunSpec(), CARD)
    assert resolve(once, CARD) == once


def test_every_preset_can_be_resolved() -> None:
    for preset in PRESETS.values():
        bundled = preset.spec.teacher in bundled_references()
        assert resolve(preset.spec, read_card(preset.spec.teacher) if bundled else CARD).threads


DISCRETE = CARD.model_copy(update={"title": "A discrete teacher", "config": {**CARD.config, "steps": 100}})


def in_steps(steps: int | None = None) -> RunSpec:
    time = {"time": {"law": "discrete_uniform", "steps": steps}}
    return RunSpec.model_validate({"objective": time, "denoiser": time})


def test_the_steps_of_a_discrete_law_are_the_teachers() -> None:
    spec = resolve(in_steps(), DISCRETE)
    assert spec.objective.time.steps == spec.denoiser.time.steps == 100
    assert resolve(spec, DISCRETE) == spec


def test_a_discrete_teacher_takes_other_laws_too() -> None:
    assert resolve(RunSpec(), DISCRETE).objective.time == RunSpec().objective.time


POINTS = read_card("bundled:eight-gaussians")


def lognormal(**window: float) -> RunSpec:
    return RunSpec.model_validate({"objective": {"time": {"law": "lognormal", **window}}})


def test_a_law_that_reaches_beyond_the_teachers_noise_levels_is_taken() -> None:
    spec = lognormal(log_mean=4.5, log_std=1, low=1, high=1000)
    assert resolve(spec, CARD).objective == spec.objective.model_copy(
        update={"pseudo_huber_c": 0.00054 * math.sqrt(64)}
    )


@pytest.mark.parametrize(
    ("spec", "card", "field", "message"),
    [
        (lognormal(log_mean=6, log_std=1, low=100, high=1000), CARD, "objective.time.low", "go from 0.002 to 80; less"),
        (lognormal(log_mean=6, log_std=0.5, low=0.1, high=1000), CARD, "objective.time.low", "less than 1%"),
        (RunSpec.model_validate({"generator": {"init_sigma": 90}}), CARD, "generator.init_sigma", "0.002 to 80"),
        (RunSpec(dropout=0.1), POINTS, "dropout", "the network of points has none: set 0 (given: 0.1)"),
        (
            RunSpec.model_validate({"performance": {"gradient_checkpointing": True}}),
            POINTS,
            "performance.gradient_checkpointing",
            "has no blocks: switch it off",
        ),
        (in_steps(), CARD, "objective.time.law", "has continuous noise levels"),
        (in_steps(7), DISCRETE, "objective.time.steps", "has 100 steps (given: 7)"),
    ],
)
def test_times_that_do_not_fit_the_teacher_are_refused(
    spec: RunSpec, card: TeacherCard, field: str, message: str
) -> None:
    with pytest.raises(SpecError) as refusal:
        resolve(spec, card)
    assert list(refusal.value.problems) == [field]
    assert message in refusal.value.problems[field]
