"""Images as 8-bit pixels and as PNG grids."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from simcore.checkpoint import write_atomically

_SMALLEST_TILE = 32
_LINE, _LINE_GREY = 2, 110  # between the images of a grid; a grey that shows on black and on white


def to_uint8(images: Tensor) -> Tensor:
    """[−1, 1] → 0..255, rounded and clamped, uint8 of the same shape. Raises ValueError on non-finite values."""
    if not torch.isfinite(images).all():
        raise ValueError("images hold non-finite values")
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu()


def from_uint8(pixels: Tensor) -> Tensor:
    """0..255 → [−1, 1], float32 of the same shape."""
    return pixels.float() / 127.5 - 1


def grid_columns(count: int, label_dim: int) -> int:
    """Columns of a grid of `count` images: one a class where that is feasible, else about a square."""
    return label_dim if 1 < label_dim <= min(16, count) else math.ceil(math.sqrt(count))


def to_rgb_png(image: Tensor) -> bytes:
    """An image [1 or 3, H, W] in [−1, 1] as an RGB PNG without metadata. Raises ValueError on non-finite values."""
    pixels = to_uint8(image).permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def save_grid(path: Path, images: Tensor, columns: int) -> None:
    """Write images [N, 1 or 3, H, W] in [−1, 1] as one PNG, row by row, with a thin line between them.

    Small images are enlarged by whole factors. Raises ValueError for other numbers of channels, OSError where the file
    cannot be written.
    """
    if images.shape[1] not in (1, 3):
        raise ValueError(f"images of {images.shape[1]} channels cannot be drawn: grey has 1, RGB has 3")
    tiles = _enlarged(to_uint8(images).numpy())
    count, channels, height, width = tiles.shape
    rows = math.ceil(count / columns)
    padded = np.full((rows * columns, channels, height + _LINE, width + _LINE), _LINE_GREY, np.uint8)
    padded[:, :, :height, :width] = 0
    padded[:count, :, :height, :width] = tiles
    sheet = padded.reshape(rows, columns, channels, height + _LINE, width + _LINE).transpose(0, 3, 1, 4, 2)
    sheet = sheet.reshape(rows * (height + _LINE), columns * (width + _LINE), channels)[:-_LINE, :-_LINE]
    buffer = io.BytesIO()
    Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet).save(buffer, "PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())


def _enlarged(
    tiles: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    factor = max(1, _SMALLEST_TILE // max(tiles.shape[2:]))
    return tiles.repeat(factor, axis=2).repeat(factor, axis=3)
