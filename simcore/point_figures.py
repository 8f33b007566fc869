"""Figures of merit for points in the plane. Points are float64 [N, 2]."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import wasserstein_distance

from simcore.point_sets import GAUSSIANS_STD, Points, gaussian_centres

_DIRECTIONS = 32


def sliced_wasserstein(first: Points, second: Points) -> float:
    """The mean Wasserstein-1 distance of the projections on 32 directions, evenly spaced over the half circle."""
    angles = np.arange(_DIRECTIONS) * math.pi / _DIRECTIONS
    directions = np.stack([np.cos(angles), np.sin(angles)])
    projections = zip((first @ directions).T, (second @ directions).T, strict=True)
    return float(np.mean([wasserstein_distance(a, b) for a, b in projections]))


class Support:
    """Where the data lies: within r of one of its points, r so that 99 % of fresh points are inside."""

    def __init__(self, data: Points, fresh: Points) -> None:
        self._tree = cKDTree(data)
        self._radius = float(np.quantile(self._tree.query(fresh)[0], 0.99))

    def share(self, points: Points) -> float:
        """The share of the points that lie inside."""
        return float((self._tree.query(points)[0] <= self._radius).mean())


def modes_kept(points: Points) -> int:
    """How many of the eight Gaussians get half of an eighth of the points, or more, within four standard deviations."""
    distances, nearest = cKDTree(gaussian_centres()).query(points)
    counts = np.bincount(nearest[distances <= 4 * GAUSSIANS_STD], minlength=8)
    return int((counts >= len(points) / 16).sum())
