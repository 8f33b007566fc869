"""Pictures of samples, as PNG: grids of images, scatter plots of points in the plane."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import Tensor

from simcore.checkpoint import write_atomically
from simcore.datasets import load_dataset
from simcore.figures import POINT_SETS
from simcore.images import grid_columns, save_grid
from simcore.point_sets import POINT_SHAPE

_SHOWN = 5_000  # points of the data

_LIMIT = 2.5  # the same axes for all, so that steps and runs compare
_INCHES, _DPI = 6, 120
# On a transparent ground; both show on white and on black.
_POINTS, _DATA = "#2f7fd1", "#808790"


def save_samples(path: Path, images: Tensor, label_dim: int, dataset: str) -> int:
    """Draw a grid of images, or a scatter plot of points over their data set's. Returns the grid's columns, or 0.

    Raises ValueError on non-finite values, OSError where the file cannot be written.
    """
    if images.shape[1:] == POINT_SHAPE:
        known = dataset in POINT_SETS
        save_scatter(path, images, load_dataset(dataset).heldout.batch(torch.arange(_SHOWN)) if known else None)
        return 0
    columns = grid_columns(len(images), label_dim)
    save_grid(path, images, columns)
    return columns


def save_scatter(path: Path, points: Tensor, data: Tensor | None) -> None:
    """Draw points [N, 2, 1, 1] in [−2.5, 2.5]², those outside on the border; `data` [M, 2, 1, 1] faintly behind.

    Raises ValueError on non-finite values, OSError where the file cannot be written.
    """
    from matplotlib.figure import Figure  # here, since it takes a second

    if not points.isfinite().all():
        raise ValueError("points hold non-finite values")
    figure = Figure(figsize=(_INCHES, _INCHES), dpi=_DPI)
    axes = figure.add_axes((0, 0, 1, 1), aspect="equal", frameon=False, xticks=[], yticks=[])
    axes.set(xlim=(-_LIMIT * 1.02, _LIMIT * 1.02), ylim=(-_LIMIT * 1.02, _LIMIT * 1.02))
    for cloud, colour, size, alpha in ((data, _DATA, 3, 0.35), (points, _POINTS, 8, 0.8)):
        if cloud is not None:
            x, y = cloud.flatten(1).clamp(-_LIMIT, _LIMIT).cpu().numpy().T
            axes.scatter(x, y, s=size, c=colour, alpha=alpha, linewidths=0)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", transparent=True, metadata={"Software": None})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())
