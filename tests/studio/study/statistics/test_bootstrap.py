"""The crossed bootstrap: coverage by simulation, repeatability, and what it does without enough votes."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from studio.study.statistics.bootstrap import crossed_bootstrap
from studio.study.statistics.figures import Interval, NotEnough

NOBODY = np.nan


def votes(
    random: np.random.Generator, between_people: float, between_prompts: float, people: int = 30, prompts: int = 17
) -> tuple[NDArray[np.float64], float]:
    """Votes of a probit model with crossed random effects, and the share in the populations of both."""
    mean = 0.2
    leaning = (
        mean + between_people * random.normal(size=(people, 1)) + between_prompts * random.normal(size=(1, prompts))
    )
    truth = norm.cdf(mean / np.sqrt(1 + between_people**2 + between_prompts**2))
    return (leaning + random.normal(size=(people, prompts)) > 0).astype(float), float(truth)


def coverage(between_people: float, between_prompts: float, studies: int = 400) -> float:
    random, covered = np.random.default_rng(11), 0
    for number in range(studies):
        scores, truth = votes(random, between_people, between_prompts)
        interval = crossed_bootstrap(scores, [number], resamples=1_000)
        assert isinstance(interval, Interval)
        covered += interval.low <= truth <= interval.high
    return covered / studies


@pytest.mark.parametrize(
    ("between_people", "between_prompts", "least", "most"),
    # 400 studies: a standard error of 1.1 points at 95 %. Conservative where votes are mostly noise of their own.
    [(0.0, 0.0, 0.975, 1.0), (0.3, 0.3, 0.95, 1.0), (1.0, 1.0, 0.92, 0.985), (0.3, 1.5, 0.9, 0.98)],
)
def test_intervals_cover_the_truth_as_often_as_they_should(
    between_people: float, between_prompts: float, least: float, most: float
) -> None:
    assert least <= coverage(between_people, between_prompts) <= most


def test_intervals_are_wider_than_those_that_take_votes_as_independent() -> None:
    """Wilson's would cover far less than 95 % where people and prompts differ."""
    scores, _ = votes(np.random.default_rng(3), 1.0, 1.0)
    interval = crossed_bootstrap(scores, [3])
    assert isinstance(interval, Interval)
    independent = 2 * 1.96 * np.sqrt(scores.mean() * (1 - scores.mean()) / scores.size)
    assert interval.high - interval.low > 1.8 * independent


def test_weights_are_the_same_as_resampling_rows_and_columns_by_hand() -> None:
    scores, _ = votes(np.random.default_rng(5), 0.8, 0.8)
    scores[np.random.default_rng(6).random(scores.shape) < 0.2] = NOBODY
    random = np.random.default_rng(7)
    people, prompts = scores.shape
    by_hand = [
        np.nanmean(scores[np.ix_(random.integers(people, size=people), random.integers(prompts, size=prompts))])
        for _ in range(4_000)
    ]
    interval = crossed_bootstrap(scores, [8])
    assert isinstance(interval, Interval)
    assert (interval.low, interval.high) == pytest.approx(np.quantile(by_hand, [0.025, 0.975]), abs=0.015)


def test_a_reload_shows_the_same_interval_and_another_seed_nearly_the_same() -> None:
    scores, _ = votes(np.random.default_rng(9), 0.5, 0.5)
    first, again, other = (crossed_bootstrap(scores, [seed, 1]) for seed in (7, 7, 8))
    assert first == again != other
    assert isinstance(first, Interval)
    assert isinstance(other, Interval)
    assert (first.low, first.high) == pytest.approx((other.low, other.high), abs=0.01)


def test_the_other_arm_gets_the_mirrored_interval() -> None:
    scores, _ = votes(np.random.default_rng(9), 0.5, 0.5)
    first, other = crossed_bootstrap(scores, [7]), crossed_bootstrap(1 - scores, [7])
    assert isinstance(first, Interval)
    assert isinstance(other, Interval)
    assert (first.flipped.low, first.flipped.high) == pytest.approx((other.low, other.high))


def test_10000_resamples_of_30_by_17_take_well_under_a_second() -> None:
    scores, _ = votes(np.random.default_rng(1), 0.5, 0.5)
    start = time.process_time()
    crossed_bootstrap(scores, [1], resamples=10_000)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        (np.empty((0, 0)), "it takes two participants"),
        (np.array([[1.0, 0.0, 1.0]]), "it takes two participants"),
        (np.array([[1.0], [0.0]]), "it takes two prompts"),
        (np.ones((5, 5)), "all votes are the same, so that resampling them shows no spread"),
        (np.full((5, 5), 0.5), "all votes are the same, so that resampling them shows no spread"),
    ],
)
def test_too_little_gives_a_reason(scores: NDArray[np.float64], why: str) -> None:
    assert crossed_bootstrap(scores, [1]) == NotEnough(why)


def test_two_votes_of_two_people_on_two_prompts_give_numbers() -> None:
    """Most resamples hold no vote at all: they say nothing and are left out."""
    interval = crossed_bootstrap(np.array([[1.0, NOBODY], [NOBODY, 0.0]]), [1])
    assert interval == Interval(0.0, 1.0)
