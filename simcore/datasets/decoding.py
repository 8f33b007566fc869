"""PNG and JPEG files to pixels, through Pillow, with every file's claims checked before its pixels are decoded."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from simcore.datasets.image_sets import Shape

MAX_SIDE = 4096  # pixels
MAX_FILE = 64 << 20  # bytes

# Pillow's mode → what it becomes. A palette is a way to store colours; the pixels are the same.
_BECOMES = {"1": "L", "L": "L", "RGB": "RGB", "P": "RGB"}


class BadImage(ValueError):
    """Why a file is no image that we read, in one line."""


def read_shape(stream: IO[bytes]) -> Shape:
    """(channels, height, width) from the file's header. Raises BadImage."""
    with _opened(stream) as (image, mode):
        return Image.getmodebands(mode), image.height, image.width


def decode(content: bytes) -> NDArray[np.uint8]:
    """Pixels [C, H, W], 0..255, one channel for grey and three for colour. Raises BadImage."""
    with _opened(io.BytesIO(content)) as (image, mode):
        pixels = np.asarray(image.convert(mode))
    return pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1).copy()


@contextmanager
def _opened(stream: IO[bytes]) -> Iterator[tuple[Image.Image, str]]:
    """The image, its pixels not yet decoded, and the mode that it is to become."""
    try:
        with Image.open(stream, formats=("PNG", "JPEG")) as image:
            yield image, _checked_mode(image)
    except BadImage:
        raise
    except UnidentifiedImageError:
        raise BadImage("it is not a PNG or JPEG image, or its start is damaged") from None
    except Exception as error:  # Pillow raises whatever a damaged file leads it to
        raise BadImage(f"it is damaged or cut short ({' '.join(str(error).split()) or type(error).__name__})") from None


def _checked_mode(image: Image.Image) -> str:
    if max(image.size) > MAX_SIDE:
        raise BadImage(f"it claims {image.width}×{image.height} pixels; at most {MAX_SIDE} a side are read")
    if getattr(image, "n_frames", 1) > 1:
        raise BadImage("it holds several frames (an animation); one image a file is read")
    if "A" in image.mode or "transparency" in image.info:
        raise BadImage("it has transparency; flatten it onto a background first")
    if image.mode not in _BECOMES or _is_16_bit(image):
        depth = "16 bits a channel" if _is_16_bit(image) else f"colour mode {image.mode}"
        raise BadImage(f"it has {depth}; grey, RGB and palette images of 8 bits a channel are read")
    return _BECOMES[image.mode]


def _is_16_bit(image: Image.Image) -> bool:
    """Pillow would cut 16-bit colours to 8 bits without a word; only the decoder's raw mode tells."""
    return "16" in image.mode or any("16" in str(tile[3]) for tile in getattr(image, "tile", []))
