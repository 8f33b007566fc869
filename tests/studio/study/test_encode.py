"""Pictures become alike in everything but their pixels."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from studio.study.encode import PAD_CHUNK, canonical, common_side, for_participants, pad_png, padded_length
from studio.study.lifecycle import StudyRefused
from studio.study.models import Image as Row
from studio.study.opening import enlargement
from tests.studio.study.builders import png


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def chunks(content: bytes) -> list[bytes]:
    names, at = [], 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        names.append(content[at + 4 : at + 8])
        at += 12 + length
    return names


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_whatever_comes_in_is_kept_as_rgb_png_without_metadata(kind: str, mode: str) -> None:
    picture = canonical(png(100, mode=mode, kind=kind, dpi=(300, 300)), "a file")
    image = opened(picture.content)
    assert (image.format, image.mode, image.size, image.info) == ("PNG", "RGB", (16, 16), {})
    assert set(chunks(picture.content)) == {b"IHDR", b"IDAT", b"IEND"}
    pixel = image.getpixel((3, 3))
    assert isinstance(pixel, tuple)
    assert all(abs(value - 100) <= 2 for value in pixel)


def test_text_colour_profile_and_the_cameras_turn_do_not_stay() -> None:
    said = PngImagePlugin.PngInfo()
    said.add_text("Software", "the student")
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new("RGB", (20, 10)).save(buffer, "PNG", pnginfo=said, exif=exif, icc_profile=b"profile")
    picture = canonical(buffer.getvalue(), "a file")
    assert (picture.width, picture.height) == (10, 20)
    assert b"student" not in picture.content
    assert b"profile" not in picture.content


def animation() -> bytes:
    buffer = io.BytesIO()
    first, second = Image.new("RGB", (8, 8)), Image.new("RGB", (8, 8), "white")
    first.save(buffer, "PNG", save_all=True, append_images=[second])
    return buffer.getvalue()


def claiming(width: int, height: int) -> bytes:
    """A PNG whose header says more than it holds."""
    content = bytearray(png())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a PNG, JPEG or WebP"),
        (b"GIF89a" + bytes(100), "not a PNG, JPEG or WebP"),
        (png(size=(300, 300))[:-200], "damaged or cut short"),
        (png()[:40], "not a PNG, JPEG or WebP image, or its start is damaged"),
        (animation(), "is an animation"),
        (png(100, mode="RGBA"), "transparent pixels"),
        (png(1000, mode="I;16"), "16 bits a channel"),
        (claiming(9_000, 9_000), "claims 9000×9000 pixels"),
        (claiming(60_000, 60_000), "claims far more pixels"),
        (png(mode="CMYK", kind="JPEG"), "colour mode CMYK"),
    ],
    ids=range(10),
)
def test_what_is_no_plain_image_is_refused_by_name(content: bytes, said: str) -> None:
    with pytest.raises(StudyRefused, match=said) as refusal:
        canonical(content, "dog.png")
    assert str(refusal.value).startswith("dog.png ")


def test_an_opaque_alpha_channel_is_no_transparency() -> None:
    assert opened(canonical(png(255, mode="RGBA"), "a file").content).mode == "RGB"


@pytest.mark.parametrize(
    ("sides", "side"),
    [([8, 8], 256), ([28], 280), ([8, 32], 256), ([96, 64], 288), ([512, 512], 512), ([2000, 64], 1024)],
)
def test_a_study_has_one_side_for_all(sides: list[int], side: int) -> None:
    assert common_side(sides) == side


def test_small_images_are_enlarged_by_repeating_their_pixels() -> None:
    small = Image.new("RGB", (8, 8), "white")
    small.putpixel((0, 0), (10, 20, 30))
    buffer = io.BytesIO()
    small.save(buffer, "PNG")
    large = opened(for_participants(buffer.getvalue(), side=256, repeat=True))
    assert large.size == (256, 256)
    assert {large.getpixel((x, y)) for x in range(32) for y in range(32)} == {(10, 20, 30)}
    assert large.getpixel((32, 0)) == (255, 255, 255)


def test_where_one_image_cannot_be_enlarged_by_a_whole_factor_none_is() -> None:
    """Else the arm with the odd size would look smoother than the other."""

    def colours(*sizes: int) -> list[int]:
        enlarge = enlargement([Row(width=size, height=size) for size in sizes])
        return [len(opened(enlarge(diagonal(size))).getcolors(1 << 16) or ()) for size in sizes]

    assert colours(8, 32) == [2, 2]
    assert all(number > 2 for number in colours(28, 32))


def diagonal(size: int) -> bytes:
    image = Image.new("RGB", (size, size), "white")
    for place in range(0, size, 2):
        image.putpixel((place, place), (0, 0, 0))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_what_is_not_square_lies_on_grey() -> None:
    wide = opened(for_participants(png(255, size=(16, 8)), side=256, repeat=True))
    assert wide.size == (256, 256)
    assert wide.getpixel((128, 10)) == (128, 128, 128)
    assert wide.getpixel((128, 128)) == (255, 255, 255)


@given(shades=st.lists(st.integers(0, 255), min_size=1, max_size=4), extra=st.integers(0, 5_000))
def test_padding_gives_any_length_and_changes_no_pixel(shades: list[int], extra: int) -> None:
    files = [png(shade, size=(8 + shade % 5, 8)) for shade in shades]
    length = padded_length([len(file) for file in files]) + extra
    for file in files:
        padded = pad_png(file, length)
        assert len(padded) == length
        assert opened(padded).tobytes() == opened(file).tobytes()
        with Image.open(io.BytesIO(padded)) as image:
            image.verify()  # every CRC
        assert chunks(padded)[-2:] == [PAD_CHUNK, b"IEND"]


def test_what_does_not_fit_is_not_padded() -> None:
    with pytest.raises(ValueError, match="cannot be padded"):
        pad_png(png(), len(png()) + 11)
    with pytest.raises(ValueError, match="cannot be padded"):
        pad_png(b"no PNG", 100)
