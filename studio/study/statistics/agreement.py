"""Do people choose alike?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from studio.study.statistics.figures import Agreement, NotEnough


def agreement(scores: NDArray[np.float64]) -> Agreement | NotEnough:
    """Krippendorff's α for nominal data, by the package of that name.

    `scores`: participants × prompts, any codes, NaN where there is no vote. What is compared is the arm that was
    chosen, and “no preference” as a third answer. Prompts with a single vote say nothing about agreement.
    """
    shared = scores[:, (~np.isnan(scores)).sum(axis=0) >= 2]
    if not shared.size:
        return NotEnough("no prompt has the votes of two participants")
    if len(np.unique(shared[~np.isnan(shared)])) < 2:
        return NotEnough("all votes are the same, and α needs two different ones")
    from krippendorff import alpha

    return Agreement(float(alpha(reliability_data=shared, level_of_measurement="nominal")))
