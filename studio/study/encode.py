"""What becomes of a picture: a canonical PNG when it comes in, and one of a common size and length when a study opens.

Everything that could tell the arms apart but the pixels themselves is made equal: format, size, metadata, bytes.
"""

from __future__ import annotations

import io
import struct
import zlib
from hashlib import sha256
from typing import Any, NamedTuple

from PIL import Image, ImageOps, UnidentifiedImageError

from studio.study.lifecycle import StudyRefused

MOST_BYTES = 32 << 20  # of one uploaded file
MOST_PIXELS = 4096 * 4096
MOST_SIDE = 1024  # pixels; of what participants see
LEAST_SIDE = 256
FORMATS = ("PNG", "JPEG", "WEBP")
_EIGHT_BIT = ("1", "L", "P", "RGB")
_GREY = (128, 128, 128)  # beside images that are not square

# Ancillary, private, safe to copy: decoders that do not know it pass over it.
PAD_CHUNK = b"paDd"
_CHUNK_OVERHEAD = 12  # length, name, CRC
_END = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))


class Picture(NamedTuple):
    """A canonical PNG: RGB, 8 bits, nothing but pixels."""

    content: bytes
    width: int
    height: int

    @property
    def facts(self) -> dict[str, Any]:
        """What its row says of it."""
        return {"sha256": sha256(self.content).hexdigest(), "width": self.width, "height": self.height}


def canonical(content: bytes, name: str) -> Picture:
    """An uploaded PNG, JPEG or WebP as a canonical PNG, turned as its EXIF says. Raises StudyRefused with the name."""
    if len(content) > MOST_BYTES:
        raise StudyRefused(f"{name} has {len(content):,} bytes; at most {MOST_BYTES:,} are read.")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if problem := _problem(image):
                raise StudyRefused(f"{name} {problem}.")
            image.load()
            upright = ImageOps.exif_transpose(image)
            if _is_transparent(upright):
                raise StudyRefused(f"{name} has transparent pixels: put it on a background first.")
            pixels = upright.convert("RGB")
    except StudyRefused:
        raise
    except Image.DecompressionBombError:
        raise StudyRefused(f"{name} claims far more pixels than the {MOST_PIXELS:,} that are read.") from None
    except UnidentifiedImageError:
        raise StudyRefused(f"{name} is not a PNG, JPEG or WebP image, or its start is damaged.") from None
    except Exception as error:  # Pillow raises whatever a damaged file leads it to
        why = " ".join(str(error).split()) or type(error).__name__
        raise StudyRefused(f"{name} is damaged or cut short ({why[:200]}).") from None
    return Picture(_png(pixels), *pixels.size)


def _problem(image: Image.Image) -> str:
    """Why an image is not read, by its header alone; or ""."""
    if image.width * image.height > MOST_PIXELS or max(image.size) > 4 * 4096:
        return f"claims {image.width}×{image.height} pixels; at most {MOST_PIXELS:,} are read"
    if getattr(image, "n_frames", 1) > 1:
        return "is an animation; a single image is needed"
    deep = "16" in image.mode or any("16" in str(tile[3]) for tile in getattr(image, "tile", []))
    if deep or image.mode not in (*_EIGHT_BIT, "LA", "PA", "RGBA"):
        depth = "16 bits a channel" if deep else f"the colour mode {image.mode}"
        return f"has {depth}; grey, palette and RGB images of 8 bits a channel are read"
    return ""


def _is_transparent(image: Image.Image) -> bool:
    if image.mode not in ("LA", "PA", "RGBA") and "transparency" not in image.info:
        return False
    return any(alpha < 255 for alpha in set(image.convert("RGBA").getchannel("A").tobytes()))


def common_side(sides: list[int]) -> int:
    """The side of the square in which all images of a study are shown, from the larger side of each.

    That of the largest image, where that is small enlarged by the least whole factor to at least LEAST_SIDE; at most
    MOST_SIDE.
    """
    largest = max(sides)
    return min(MOST_SIDE, largest * -(-LEAST_SIDE // largest))


def for_participants(content: bytes, *, side: int, repeat: bool) -> bytes:
    """A canonical PNG as a square one of that side, without metadata; pixels are repeated or smoothly resampled."""
    with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
        pixels = image.convert("RGB")
    longer = max(pixels.size)
    scale = side / longer
    size = (max(1, round(pixels.width * scale)), max(1, round(pixels.height * scale)))
    method = Image.Resampling.NEAREST if repeat else Image.Resampling.LANCZOS
    pixels = pixels.resize(size, method)
    if size != (side, side):
        ground = Image.new("RGB", (side, side), _GREY)
        ground.paste(pixels, ((side - size[0]) // 2, (side - size[1]) // 2))
        pixels = ground
    return _png(pixels)


def _png(pixels: Image.Image) -> bytes:
    """The same bytes for the same pixels; the pixels are copied into an image that carries nothing else."""
    bare = Image.frombytes("RGB", pixels.size, pixels.tobytes())
    buffer = io.BytesIO()
    bare.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def padded_length(lengths: list[int]) -> int:
    """The bytes that every file of a study gets: the longest has room for the chunk, too."""
    return max(lengths) + _CHUNK_OVERHEAD


def pad_png(data: bytes, length: int) -> bytes:
    """The PNG with a chunk of zeros before its end, `length` bytes long. Raises ValueError where it does not fit."""
    zeros = length - len(data) - _CHUNK_OVERHEAD
    if zeros < 0 or not data.endswith(_END):
        raise ValueError(f"a PNG of {len(data)} bytes cannot be padded to {length}")
    body = PAD_CHUNK + bytes(zeros)
    chunk = struct.pack(">I", zeros) + body + struct.pack(">I", zlib.crc32(body))
    return data[: -len(_END)] + chunk + _END
