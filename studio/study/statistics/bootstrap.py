"""The headline interval: a bootstrap over participants and prompts at once.

Votes of one person are alike, and so are votes on one prompt, so 510 votes say less than 510 independent ones. Both
people and prompts are samples of those that one wants to speak about; both are resampled.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from studio.study.statistics.figures import Interval, NotEnough

RESAMPLES = 10_000
# Bounds the time for studies of thousands of people: about half a second.
MOST_DRAWS, FEWEST_RESAMPLES = 20_000_000, 2_000
CHUNK_DRAWS = 1_000_000


def crossed_bootstrap(
    scores: NDArray[np.float64], seed: Sequence[int], resamples: int | None = None
) -> Interval | NotEnough:
    """The 95 % percentile interval of the mean score.

    `scores`: participants × prompts in [0, 1], NaN where there is no vote. Participants and prompts are drawn with
    replacement independently of each other; a vote weighs the product of how often its participant and its prompt were
    drawn (the pigeonhole bootstrap: Owen 2007, Annals of Applied Statistics 1(2)). Equal seeds give equal intervals.

    It is conservative: what is noise of single votes is counted up to three times in the variance, so that without any
    likeness within people or prompts the interval is up to √3 times as wide as it would have to be; the more people and
    prompts differ, the nearer its coverage comes to 95 %. Simulated for 30 × 17: 99.5 % without such differences, 97 to
    94 % with strong ones. With fewer than ten people or prompts that differ much it can fall below (85 % with three
    people), as every percentile bootstrap does.
    """
    people, prompts = scores.shape
    if people < 2:
        return NotEnough("it takes two participants")
    if prompts < 2:
        return NotEnough("it takes two prompts")
    seen = ~np.isnan(scores)
    votes = scores[seen]
    if (votes == votes[0]).all():
        return NotEnough("all votes are the same, so that resampling them shows no spread")
    won, cast = np.where(seen, scores, 0.0), seen.astype(np.float64)
    random = np.random.default_rng(list(seed))
    shares = []
    for size in _chunks(resamples or resamples_for(people, prompts), people + prompts):
        of_people, of_prompts = _weights(random, size, people), _weights(random, size, prompts)
        total = ((of_people @ cast) * of_prompts).sum(axis=1)
        share = ((of_people @ won) * of_prompts).sum(axis=1)[total > 0] / total[total > 0]
        shares.append(share)
    low, high = np.quantile(np.concatenate(shares), [0.025, 0.975])
    return Interval(float(low), float(high))


def resamples_for(people: int, prompts: int) -> int:
    """As many as it takes, fewer where there are thousands of people."""
    return max(FEWEST_RESAMPLES, min(RESAMPLES, MOST_DRAWS // (people + prompts)))


def _chunks(resamples: int, width: int) -> list[int]:
    size = max(1, min(resamples, CHUNK_DRAWS // width))
    return [size] * (resamples // size) + ([resamples % size] if resamples % size else [])


def _weights(random: np.random.Generator, resamples: int, count: int) -> NDArray[np.float64]:
    """(resamples, count): how often each of `count` was drawn in `count` draws with replacement."""
    drawn = random.integers(count, size=(resamples, count)) + count * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * count).reshape(resamples, count).astype(np.float64)
