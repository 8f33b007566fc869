"""The figures of merit, and which of them each data set is judged by. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

# The data sets that hold points in the plane (`simcore.point_sets`); all others hold images.
POINT_SETS = ("eight-gaussians", "checkerboard", "two-moons")


@dataclass(frozen=True)
class Figure:
    """One value of an evaluation.

    label: short, for tables. form: decimals, or "percent". distance: to data, charted, less is better.
    """

    name: str
    label: str
    help: str
    form: str
    distance: bool = False

    def show(self, value: float) -> str:
        """The value as people read it."""
        return f"{100 * value:.1f} %" if self.form == "percent" else f"{value:.{self.form}f}"


_IMAGES = (
    Figure("frechet", "Fréchet", "Fréchet distance to the training images", "2", distance=True),
    Figure("frechet_heldout", "Held-out", "Fréchet distance to images that nobody trained on", "2", distance=True),
    Figure("accuracy", "Accuracy", "Share of images classified as the class asked for", "percent"),
)
_POINTS = (
    Figure("sliced_wasserstein", "Sliced W₁", "Sliced Wasserstein-1 distance to fresh points", "4", distance=True),
    Figure("precision", "Precision", "Share of points that lie where the data lies", "percent"),
)
_MODES = Figure("modes", "Modes", "Gaussians, of eight, that get at least half of their share", "0")


def figures_of(dataset: str) -> tuple[Figure, ...]:
    """What an evaluation on that data set may measure; the first is the headline."""
    if dataset not in POINT_SETS:
        return _IMAGES
    return (*_POINTS, _MODES) if dataset == "eight-gaussians" else _POINTS
