import math

import numpy as np
import pytest

from simcore.point_figures import Support, modes_kept, sliced_wasserstein
from simcore.point_sets import draw_points, gaussian_centres


def test_a_shift_is_as_far_as_its_mean_projection() -> None:
    points = draw_points("two-moons", 2_000, 0)
    assert sliced_wasserstein(points, points) == 0
    assert sliced_wasserstein(points, points + np.array([0.3, 0.4])) == pytest.approx(0.5 * 2 / math.pi, rel=1e-3)


def test_fresh_points_are_near_and_another_distribution_is_far() -> None:
    moons, fresh, board = (
        draw_points(name, 20_000, seed) for name, seed in (("two-moons", 0), ("two-moons", 1), ("checkerboard", 1))
    )
    assert sliced_wasserstein(moons, fresh) < 0.02
    assert sliced_wasserstein(moons, board) > 0.1


def test_the_support_holds_fresh_points_and_not_what_lies_between_the_modes() -> None:
    data, fresh, more = (draw_points("eight-gaussians", 20_000, seed) for seed in (0, 1, 2))
    support = Support(data, fresh)
    assert support.share(more) == pytest.approx(0.99, abs=0.005)
    between = (gaussian_centres() + np.roll(gaussian_centres(), 1, axis=0)) / 2
    assert support.share(between) == 0


def test_a_mode_counts_with_half_of_its_share_or_more() -> None:
    points = draw_points("eight-gaussians", 8_000, 0)
    assert modes_kept(points) == 8
    order = np.linalg.norm(points[:, None] - gaussian_centres(), axis=2).argmin(1)
    assert modes_kept(points[order >= 2]) == 6
    few = np.concatenate([points[order > 0], points[order == 0][:300]])
    assert modes_kept(few) == 7
    assert modes_kept(np.zeros((100, 2))) == 0
