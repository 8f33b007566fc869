"""How many votes a study needs."""

from __future__ import annotations

import math
from functools import cache

POWER, LEVEL = 0.8, 0.05


@cache
def votes_needed(share: float) -> int:
    """Votes with a preference for 80 % power of the exact two-sided test at 5 %, where `share` of them go one way.

    Computed exactly. The power of an exact test moves up and down with the number of votes; this is the number from
    which on it stays above 80 %. It supposes independent votes: where people or prompts differ, more are needed.
    """
    import numpy as np
    from scipy.stats import binom, norm

    half = abs(share - 0.5)
    by_normal = ((norm.isf(LEVEL / 2) / 2 + norm.isf(1 - POWER) * math.sqrt(share * (1 - share))) / half) ** 2
    votes = np.arange(1, int(1.3 * by_normal) + 100)
    least = binom.ppf(LEVEL / 2, votes, 0.5)
    rejected = np.where(binom.cdf(least, votes, 0.5) <= LEVEL / 2, least, least - 1)  # up to here, and as far above
    power = binom.cdf(rejected, votes, share) + binom.sf(votes - rejected - 1, votes, share)
    return int(votes[power < POWER][-1]) + 1
