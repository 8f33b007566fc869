"""Votes needed: checked with SciPy's test, outcome by outcome."""

from __future__ import annotations

from scipy.stats import binom, binomtest

from studio.study.statistics.power import votes_needed


def power(votes: int, share: float) -> float:
    """The probability of an outcome that the exact test rejects."""
    return float(
        sum(binom.pmf(wins, votes, share) for wins in range(votes + 1) if binomtest(wins, votes, 0.5).pvalue <= 0.05)
    )


def test_60_to_40_needs_as_many_votes_as_keep_80_percent_power() -> None:
    needed = votes_needed(0.6)
    assert power(needed - 1, 0.6) < 0.8
    assert all(power(votes, 0.6) >= 0.8 for votes in range(needed, needed + 25))


def test_the_figures_lie_just_above_the_normal_approximations() -> None:
    """194 and 783 votes by the textbook's formula, which neglects that the exact test rejects too seldom."""
    assert 194 < votes_needed(0.6) < 194 * 1.1
    assert 783 < votes_needed(0.55) < 783 * 1.06
    assert votes_needed(0.4) == votes_needed(0.6)
