"""Distributions of points in the plane, for the two-dimensional toy (A.2).

Each lies about the origin with a standard deviation near 1 in each coordinate.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

POINT_SHAPE = (2, 1, 1)  # a point as an image: two channels, one pixel

GAUSSIANS_STD = 0.1


def gaussian_centres() -> Points:
    """The eight centres, [8, 2]: evenly on a circle of radius √2."""
    angles = np.arange(8) * math.pi / 4
    return math.sqrt(2) * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _eight_gaussians(count: int, random: np.random.Generator) -> Points:
    centres = gaussian_centres()[random.integers(8, size=count)]
    return centres + GAUSSIANS_STD * random.standard_normal((count, 2))


def _checkerboard(count: int, random: np.random.Generator) -> Points:
    """The dark half of a board of 4×4 squares on [−2, 2]²."""
    column, row = random.integers(4, size=count), 2 * random.integers(2, size=count)
    corners = np.stack([column, row + column % 2], axis=1) - 2
    return corners + random.random((count, 2))


def _two_moons(count: int, random: np.random.Generator) -> Points:
    from sklearn.datasets import make_moons

    points, _ = make_moons(count, noise=0.05, random_state=int(random.integers(2**31)))
    centred: Points = (points - [0.5, 0.25]) * [1.15, 2.0]  # both coordinates as wide
    return centred


_DISTRIBUTIONS: dict[str, Callable[[int, np.random.Generator], Points]] = {
    "eight-gaussians": _eight_gaussians,
    "checkerboard": _checkerboard,
    "two-moons": _two_moons,
}


def draw_points(name: str, count: int, seed: int) -> Points:
    """`count` points of a distribution, float64 [count, 2]. Raises KeyError where it is unknown."""
    return _DISTRIBUTIONS[name](count, np.random.default_rng(seed))
