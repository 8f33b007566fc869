"""Scatter plots of points in the plane, as PNG."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure
from torch import Tensor

from simcore.checkpoint import write_atomically

_LIMIT = 2.5  # the same axes for all, so that steps and runs compare
_INCHES, _DPI = 6, 120
# On a transparent ground; both show on white and on black.
_POINTS, _DATA = "#2f7fd1", "#808790"


def save_scatter(path: Path, points: Tensor, data: Tensor | None) -> None:
    """Draw points [N, 2, 1, 1] in [−2.5, 2.5]², those outside on the border; `data` [M, 2, 1, 1] faintly behind.

    Raises ValueError on non-finite values, OSError where the file cannot be written.
    """
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
