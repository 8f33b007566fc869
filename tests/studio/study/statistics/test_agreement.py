"""Krippendorff's α against his own example and against the definition."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.study.statistics.agreement import agreement
from studio.study.statistics.figures import Agreement, NotEnough

N = math.nan


def alpha_by_definition(scores: NDArray[np.float64]) -> float | None:
    """1 − observed / expected disagreement, over pairs of values within units; None where undefined."""
    units = [[value for value in column if not math.isnan(value)] for column in scores.T]
    units = [unit for unit in units if len(unit) > 1]
    totals = Counter(value for unit in units for value in unit)
    count = sum(totals.values())
    expected = sum(totals[a] * totals[b] for a in totals for b in totals if a != b) / (count - 1) if count > 1 else 0
    if not expected:
        return None
    observed = sum(sum(a != b for a in unit for b in unit) / (len(unit) - 1) for unit in units)
    return 1 - observed / expected


def test_krippendorffs_example_of_four_observers() -> None:
    """Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, section C: nominal α = 0.743."""
    scores = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
            [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
        ]
    )
    value = agreement(scores)
    assert isinstance(value, Agreement)
    assert value.alpha == pytest.approx(0.743, abs=5e-4)


def test_1000_random_tables_agree_with_the_definition() -> None:
    random = np.random.default_rng(2)
    undefined = 0
    for _ in range(1000):
        scores = random.choice([0.0, 0.5, 1.0], size=random.integers(1, 9, size=2))
        scores[random.random(scores.shape) < random.random()] = N
        expected, value = alpha_by_definition(scores), agreement(scores)
        if expected is None:
            undefined += 1
            assert isinstance(value, NotEnough)
        else:
            assert isinstance(value, Agreement)
            assert value.alpha == pytest.approx(expected, abs=1e-9)
    assert 0 < undefined < 900


@pytest.mark.parametrize("scores", [np.empty((0, 0)), np.array([[1.0, 0.0]]), np.array([[1.0, N], [N, 0.0]])])
def test_votes_on_different_prompts_say_nothing_about_agreement(scores: NDArray[np.float64]) -> None:
    assert agreement(scores) == NotEnough("no prompt has the votes of two participants")


def test_unanimous_votes_leave_it_undefined() -> None:
    assert isinstance(agreement(np.ones((3, 4))), NotEnough)


def test_perfect_agreement_is_one() -> None:
    assert str(agreement(np.array([[1.0, 0.0], [1.0, 0.0]]))) == "1.00"
