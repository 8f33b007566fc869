import math

from simcore.config import RunSpec
from simcore.presets import PRESETS
from simcore.resolve import available_cores, resolve
from simcore.teacher_card import read_card

CARD = read_card("bundled:digits")


def test_every_automatic_choice_is_written_out() -> None:
    spec = resolve(RunSpec(), CARD)
    assert spec.objective.pseudo_huber_c == 0.00054 * math.sqrt(64)
    assert spec.threads == available_cores() >= 1
    assert spec.device in ("cpu", "cuda")


def test_choices_that_were_made_stay_and_resolving_twice_changes_nothing() -> None:
    chosen = RunSpec.model_validate({"threads": 3, "device": "cpu", "objective": {"pseudo_huber_c": 0.5}})
    assert resolve(chosen, CARD) == chosen
    once = resolve(RunSpec(), CARD)
    assert resolve(once, CARD) == once


def test_every_preset_can_be_resolved() -> None:
    assert all(resolve(preset.spec, read_card(preset.spec.teacher)).threads for preset in PRESETS.values())
