"""Wilson's interval and the exact test against published examples and against their formulas."""

from __future__ import annotations

import math
import random

import pytest

from studio.study.statistics.figures import ExactTest, Interval, NotEnough, Tally
from studio.study.statistics.shares import exact_test, wilson


def wilson_by_formula(wins: float, votes: int) -> tuple[float, float]:
    z, share = 1.959963984540054, wins / votes
    centre = (share + z * z / (2 * votes)) / (1 + z * z / votes)
    half = z * math.sqrt(share * (1 - share) / votes + z * z / (4 * votes * votes)) / (1 + z * z / votes)
    return centre - half, centre + half


def exact_by_counting(wins: int, votes: int) -> float:
    """Twice the smaller tail, for one half; in whole numbers."""
    tail = sum(math.comb(votes, count) for count in range(min(wins, votes - wins) + 1))
    return min(1.0, 2 * tail / 2**votes)


@pytest.mark.parametrize(
    ("wins", "votes", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_published_intervals(wins: int, votes: int, low: float, high: float) -> None:
    interval = wilson(Tally(wins, votes - wins, 0))
    assert isinstance(interval, Interval)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


def test_280_to_230_votes_give_the_published_figures() -> None:
    student = Tally(230, 280, 0)
    assert str(wilson(student)) == "40.8–49.4 %"
    assert str(exact_test(student)) == "p = 0.030"
    assert student.percent == "45.1 %"
    assert str(exact_test(student.flipped)) == "p = 0.030"


def test_1000_random_tallies_agree_with_the_formulas() -> None:
    source = random.Random(1)
    for _ in range(1000):
        counts = Tally(source.randrange(400), source.randrange(400), source.choice([0, 0, 1, 7, 60]))
        if not counts.decided:
            continue
        interval, test = wilson(counts), exact_test(counts)
        assert isinstance(interval, Interval)
        assert isinstance(test, ExactTest)
        expected = wilson_by_formula(counts.wins + counts.none / 2, counts.votes)
        assert (interval.low, interval.high) == pytest.approx(expected, abs=1e-12)
        assert test.p == pytest.approx(exact_by_counting(counts.wins, counts.decided), rel=1e-9)


def test_no_preference_is_split_in_the_share_and_left_out_of_the_test() -> None:
    counts = Tally(30, 10, 20)
    assert counts.share == pytest.approx(40 / 60)
    assert str(wilson(counts)) == str(wilson(Tally(40, 20, 0)))
    assert str(exact_test(counts)) == str(exact_test(Tally(30, 10, 0)))


def test_without_votes_there_is_a_reason_and_no_figure() -> None:
    assert isinstance(wilson(Tally(0, 0, 0)), NotEnough)
    assert str(exact_test(Tally(0, 0, 5))) == "not enough votes: nobody has preferred either"
    assert Tally(0, 0, 0).percent == "–"


def test_one_sided_tallies_stay_inside_0_and_1() -> None:
    assert str(wilson(Tally(17, 0, 0))) == "81.6–100.0 %"
    assert str(exact_test(Tally(17, 0, 0))) == "p < 0.001"
    assert str(exact_test(Tally(1, 0, 0))) == "p = 1.000"
