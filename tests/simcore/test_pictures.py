from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from simcore.pictures import save_samples, save_scatter


def picture(path: Path, points: list[list[float]], data: list[list[float]] | None = None) -> np.ndarray:
    background = None if data is None else torch.tensor(data).view(-1, 2, 1, 1)
    save_scatter(path, torch.tensor(points).view(-1, 2, 1, 1), background)
    return np.asarray(Image.open(path).convert("RGBA")).astype(int)


def marks(pixels: np.ndarray) -> set[tuple[int, int]]:
    """Where something is drawn, in units of a tenth of the picture, from the lower left."""
    rows, columns = np.nonzero(pixels[:, :, 3])
    return {(int(column / 72), int((719 - row) / 72)) for row, column in zip(rows, columns, strict=True)}


def test_points_are_drawn_at_their_place_on_a_transparent_ground(tmp_path: Path) -> None:
    pixels = picture(tmp_path / "deep" / "a.png", [[-1.8, 1.3], [0.25, 0.25]])
    assert pixels.shape == (720, 720, 4)
    assert marks(pixels) == {(1, 7), (5, 5)}
    assert (pixels[:, :, 3] == 0).mean() > 0.99


def test_points_outside_are_drawn_on_the_border(tmp_path: Path) -> None:
    assert marks(picture(tmp_path / "a.png", [[90.0, 0.25]])) == {(9, 5)}


def test_the_data_is_fainter_and_of_another_colour(tmp_path: Path) -> None:
    pixels = picture(tmp_path / "a.png", [[-1.8, 1.3]], data=[[0.25, 0.25]])
    assert marks(pixels) == {(1, 7), (5, 5)}
    of_the_points, of_the_data = pixels[:360, :360], pixels[360 - 72 :, 360:]
    assert of_the_points[:, :, 3].max() > 1.8 * of_the_data[:, :, 3].max()


def test_the_same_points_give_the_same_bytes_and_non_finite_ones_are_refused(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / name, [[0.0, 1.0]])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with pytest.raises(ValueError, match="non-finite"):
        picture(tmp_path / "c.png", [[0.0, float("nan")]])


def test_images_are_drawn_as_a_grid_and_points_as_a_scatter_plot(tmp_path: Path) -> None:
    assert save_samples(tmp_path / "grid.png", torch.zeros(6, 1, 8, 8), 0, "digits") == 3
    assert save_samples(tmp_path / "scatter.png", torch.zeros(6, 2, 1, 1), 0, "two-moons") == 0
    assert Image.open(tmp_path / "grid.png").size == (3 * 34 - 2, 2 * 34 - 2)
    assert Image.open(tmp_path / "scatter.png").size == (720, 720)
