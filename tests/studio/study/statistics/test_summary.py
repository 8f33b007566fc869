"""What a set of answers says, whole and in parts; and that nothing breaks where there is little to say."""

from __future__ import annotations

import math
from dataclasses import astuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.study.statistics.answers import Answer
from studio.study.statistics.figures import Interval, NotEnough, Tally
from studio.study.statistics.summary import summarise

SIDES = ("left", "right", "none")


def test_shares_by_prompt_participant_and_side() -> None:
    answers = [
        Answer(1, 0, left=1, side="left", seconds=2.0),
        Answer(1, 1, left=0, side="left", seconds=4.0),
        Answer(2, 0, left=0, side="right", seconds=9.0),
        Answer(2, 1, left=1, side="none"),
    ]
    summary = summarise(answers, arm=1, seed=1)
    assert summary.tally == Tally(2, 1, 1)
    assert summary.tally.percent == "62.5 %"
    assert summary.participants == 2
    assert {number: part.tally for number, part in summary.prompts.items()} == {0: Tally(2, 0, 0), 1: Tally(0, 1, 1)}
    assert {number: part.tally for number, part in summary.people.items()} == {1: Tally(1, 1, 0), 2: Tally(1, 0, 1)}
    assert summary.bias.left == Tally(2, 1, 0)
    assert summary.people[2].left == Tally(0, 1, 0)
    assert summary.bias.arm_left == Tally(1, 0, 1)
    assert summary.bias.arm_right == Tally(1, 1, 0)
    assert summary.seconds == 4.0
    assert summary.people[2].seconds == 9.0


def test_somebody_who_always_answers_left_shows_as_a_side_bias_and_not_as_a_preference() -> None:
    answers = [Answer(person, prompt, (person + prompt) % 2, "left") for person in range(6) for prompt in range(10)]
    summary = summarise(answers, arm=0, seed=1)
    assert summary.tally.share == 0.5
    assert summary.bias.suspicious
    assert str(summary.bias.test) == "p < 0.001"


def test_a_second_vote_of_somebody_on_a_prompt_is_an_error() -> None:
    with pytest.raises(ValueError, match="participant 1 has two votes on prompt 0"):
        summarise([Answer(1, 0, 0, "left"), Answer(1, 0, 1, "left")], arm=0, seed=1)


def finite(value: object) -> bool:
    """No NaN in whatever it is made of."""
    if isinstance(value, float):
        return not math.isnan(value)
    return all(map(finite, value)) if isinstance(value, tuple) else True


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.tuples(st.integers(1, 4), st.integers(0, 4)),
        st.tuples(st.integers(0, 1), st.sampled_from(SIDES), st.none() | st.floats(0, 1e4)),
        max_size=16,
    )
)
def test_any_answers_give_figures_or_reasons(cells: dict[tuple[int, int], tuple[int, str, float | None]]) -> None:
    answers = [Answer(*place, *answer) for place, answer in cells.items()]
    first, other = (summarise(answers, arm=arm, seed=3) for arm in (0, 1))
    assert first.tally == other.tally.flipped
    for figure in (first.headline, first.wilson, first.test, first.agreement, first.bias.interval, first.bias.test):
        assert isinstance(figure, NotEnough) or finite(astuple(figure)), figure
        assert "nan" not in str(figure)
        if isinstance(figure, Interval):
            assert -1e-12 <= figure.low <= figure.high <= 1 + 1e-12
    assert sum(part.tally.votes for part in first.prompts.values()) == first.tally.votes == len(answers)
    assert sum(part.tally.wins for part in first.people.values()) == first.tally.wins


def test_no_votes_at_all() -> None:
    summary = summarise([], arm=0, seed=1)
    assert summary.tally.votes == summary.participants == 0
    assert {type(figure) for figure in (summary.headline, summary.wilson, summary.test, summary.agreement)} == {
        NotEnough
    }
