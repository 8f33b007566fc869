"""Over 2,000 trials nothing but the pixels tells a participant's browser which image is whose."""

from __future__ import annotations

from typing import Any

from tests.studio.study.guessing import PROMPTS, chance_of, collect
from tests.studio.study.voters import opened_study


def test_a_classifier_guesses_no_better_than_chance_unless_padding_is_off(user: Any) -> None:
    trials = collect(opened_study(user, prompts=PROMPTS), 100)
    assert sum(map(len, trials)) == 2_000
    blind, seeing = chance_of(trials), chance_of(collect(opened_study(user, prompts=PROMPTS, padded=False), 20))
    print(f"the classifier's guesses: p = {blind:.3f}; where files are not padded: p = {seeing:.1e}")
    assert blind > 1e-3
    assert seeing < 1e-9
