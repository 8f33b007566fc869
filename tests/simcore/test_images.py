from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from simcore.images import grid_columns, save_grid, to_uint8


def test_pixels_are_rounded_and_clamped() -> None:
    assert to_uint8(torch.tensor([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0])).tolist() == [0, 0, 128, 191, 255, 255]


def test_non_finite_images_are_refused() -> None:
    with pytest.raises(ValueError, match="non-finite"):
        to_uint8(torch.tensor([0.0, float("nan")]))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_holds_the_images_row_by_row(channels: int, tmp_path: Path) -> None:
    images = torch.linspace(-1, 1, 5).view(5, 1, 1, 1).expand(5, channels, 8, 8)
    save_grid(tmp_path / "deep" / "grid.png", images, columns=3)
    pixels = np.asarray(Image.open(tmp_path / "deep" / "grid.png"))
    assert pixels.shape[:2] == (2 * 34 - 2, 3 * 34 - 2)
    tiles = [pixels[34 * row + 16, 34 * column + 16].max() for row in range(2) for column in range(3)]
    assert tiles == [0, 64, 128, 191, 255, 0]
    between = [pixels[33, 50], pixels[16, 32], pixels[50, 67]]
    assert {int(value.max()) for value in between} == {110}


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_what_is_neither_grey_nor_rgb_is_not_drawn(channels: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"images of {channels} channels cannot be drawn: grey has 1, RGB has 3"):
        save_grid(tmp_path / "grid.png", torch.zeros(1, channels, 8, 8), columns=1)
    assert not list(tmp_path.iterdir())


def test_a_grid_has_a_column_for_each_class_where_that_fits() -> None:
    assert [grid_columns(100, 10), grid_columns(64, 0), grid_columns(50, 1000), grid_columns(5, 10)] == [10, 8, 8, 3]
