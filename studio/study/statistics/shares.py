"""A share, its Wilson interval and its exact test: what one would do if votes were independent.

SciPy and statsmodels are loaded when first asked: half a second that other pages and commands need not wait.
"""

from __future__ import annotations

from studio.study.statistics.figures import ExactTest, Interval, NotEnough, Tally


def wilson(tally: Tally) -> Interval | NotEnough:
    """Wilson's 95 % score interval of the share (Wilson 1927), by statsmodels; without a continuity correction.

    “No preference” counts as half a vote each way, whose variance is smaller than a vote's: the interval is then wide.
    """
    if not tally.votes:
        return NotEnough("nobody has voted")
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(tally.wins + tally.none / 2, tally.votes, alpha=0.05, method="wilson")
    return Interval(float(low), float(high))


def exact_test(tally: Tally) -> ExactTest | NotEnough:
    """Two-sided exact binomial test that both are chosen equally often, by SciPy; “no preference” is left out."""
    if not tally.decided:
        return NotEnough("nobody has preferred either")
    from scipy.stats import binomtest

    return ExactTest(tally.wins, tally.decided, float(binomtest(tally.wins, tally.decided, 0.5).pvalue))
