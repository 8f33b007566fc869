"""Zip archives and folders of images, labelled or not."""

from __future__ import annotations

import os
import pickle
import stat
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader

from simcore.datasets import DatasetError, Images, ImageSet, for_training, load_dataset
from simcore.datasets.encoded import open_store
from simcore.datasets.stores import FolderStore, ZipStore
from tests.simcore.datasets.files import (
    Pixels,
    encoded,
    labels_file,
    named,
    pairs,
    picture,
    png,
    random_pixels,
    write_folder,
    write_zip,
)

GREY = Image.new("L", (8, 8))


def whole(images: Images) -> Pixels:
    return images.pixels(torch.arange(len(images))).numpy()


@st.composite
def image_sets(draw: st.DrawFn) -> tuple[Pixels, list[int]]:
    """A few random images of one random shape, and labels without gaps."""
    shape = draw(st.tuples(st.sampled_from([1, 3]), st.integers(1, 5), st.integers(1, 5)))
    count = draw(st.integers(1, 8))
    labels = draw(st.permutations([min(index, draw(st.integers(0, index))) for index in range(count)]))
    numbers = {label: number for number, label in enumerate(sorted(set(labels)))}
    return random_pixels(count, shape, draw(st.integers(0, 1000))), [numbers[label] for label in labels]


@given(image_sets(), st.booleans())
def test_what_is_written_to_a_zip_or_a_folder_is_read_back(written: tuple[Pixels, list[int]], zipped: bool) -> None:
    pixels, labels = written
    files = named(pixels)
    files["dataset.json"] = labels_file(pairs(list(files), labels))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set"
        store = ZipStore(write_zip(path, files)) if zipped else FolderStore(write_folder(path, files))
        images, _ = open_store(store)
        assert np.array_equal(whole(images), pixels)
        assert images.labels is not None
        assert images.labels.tolist() == labels
        assert images.image_shape == pixels.shape[1:]


@given(image_sets())
def test_first_level_folders_are_the_classes(written: tuple[Pixels, list[int]]) -> None:
    pixels, labels = written
    files = {f"class {label}/deeper/{index}.png": png(pixels[index]) for index, label in enumerate(labels)}
    with tempfile.TemporaryDirectory() as folder:
        images, names = open_store(FolderStore(write_folder(Path(folder), files)))
        order = sorted(range(len(labels)), key=lambda index: sorted(files).index(list(files)[index]))
        assert np.array_equal(whole(images), pixels[order])
        if len(set(labels)) == 1:
            assert images.labels is None
        else:
            assert images.labels is not None
            assert images.labels.tolist() == [labels[index] for index in order]
            assert names == tuple(f"class {label}" for label in range(len(set(labels))))


def test_a_folder_with_images_at_its_top_has_no_classes(tmp_path: Path) -> None:
    files = dict.fromkeys(("a/1.png", "b/1.png", "2.png"), png(random_pixels(1)[0]))
    images, names = open_store(FolderStore(write_folder(tmp_path, files)))
    assert (images.labels, names) == (None, ())


def test_the_folders_of_edms_layout_are_no_classes(tmp_path: Path) -> None:
    images, names = open_store(FolderStore(write_folder(tmp_path, named(random_pixels(6)))))
    assert (images.labels, names) == (None, ())


@pytest.mark.parametrize("content", [b'{"labels": null}', b"{}"])
def test_labels_may_be_null(tmp_path: Path, content: bytes) -> None:
    files = named(random_pixels(4)) | {"dataset.json": content}
    assert open_store(FolderStore(write_folder(tmp_path, files)))[0].labels is None


def test_other_ways_to_store_the_same_colours_are_read_as_such(tmp_path: Path) -> None:
    colours = picture(random_pixels(1, (3, 4, 4))[0])
    palette, jpeg = colours.quantize(16), encoded(colours, "JPEG")
    bilevel = Image.fromarray(np.eye(4, dtype=bool))
    rgb = {"1.PNG": encoded(palette), "2.jpeg": jpeg}
    images, _ = open_store(FolderStore(write_folder(tmp_path / "rgb", rgb)))
    assert np.array_equal(images[0][0].permute(1, 2, 0), np.asarray(palette.convert("RGB")))
    with Image.open(tmp_path / "rgb/2.jpeg") as expected:
        assert np.array_equal(images[1][0].permute(1, 2, 0), np.asarray(expected))
    images, _ = open_store(FolderStore(write_folder(tmp_path / "grey", {"a.png": encoded(bilevel)})))
    assert np.array_equal(images[0][0][0], 255 * np.eye(4))


def test_files_that_are_no_images_are_passed_over(tmp_path: Path) -> None:
    files = named(random_pixels(5))
    others = {"README.txt": b"", "__MACOSX/._img.png": b"x", ".DS_Store": b"", "a/._b.png": b"x"}
    assert len(open_store(ZipStore(write_zip(tmp_path / "a.zip", files | others)))[0]) == 5


def labelled_zip(path: Path, count: int = 40) -> tuple[Path, Pixels]:
    pixels = random_pixels(count)
    files = named(pixels)
    labels = pairs(list(files), [index % 4 for index in range(count)])
    return write_zip(path, files | {"dataset.json": labels_file(labels)}), pixels


def test_a_data_set_is_split_by_class_the_same_way_every_time(tmp_path: Path) -> None:
    path, pixels = labelled_zip(tmp_path / "faces.zip")
    data, again = load_dataset(str(path)), load_dataset(str(path))
    assert (data.name, data.classes, data.image_shape) == ("faces", 4, (3, 8, 8))
    assert data.reference == str(path)
    assert str(data) == "faces: 32 training and 8 held-out images, 3×8×8, 4 classes"
    assert data.train.labels is not None
    assert data.heldout.labels is not None
    assert torch.bincount(data.train.labels).tolist() == [8] * 4
    assert torch.bincount(data.heldout.labels).tolist() == [2] * 4
    assert np.array_equal(whole(data.heldout), whole(again.heldout))
    found = {image.tobytes() for part in (data.train, data.heldout) for image in whole(part)}
    assert found == {image.tobytes() for image in pixels}


def test_items_are_pixels_and_class_and_batches_floats(tmp_path: Path) -> None:
    path, pixels = labelled_zip(tmp_path / "a.zip")
    images, _ = open_store(ZipStore(path))
    image, label = images[5]
    assert (image.dtype, label) == (torch.uint8, 1)
    assert np.array_equal(image, pixels[5])
    assert torch.equal(images[-1][0], images[39][0])
    with pytest.raises(IndexError):
        images[40]
    batch = images.batch(torch.tensor([5, 3]))
    assert batch.dtype == torch.float32
    assert np.allclose(batch, pixels[[5, 3]] / 127.5 - 1, atol=1e-6)
    unlabelled, _ = open_store(ZipStore(write_zip(tmp_path / "b.zip", named(pixels))))
    assert unlabelled[0][1] is None


def test_several_processes_read_one_archive(tmp_path: Path) -> None:
    path, pixels = labelled_zip(tmp_path / "a.zip")
    images, _ = open_store(ZipStore(path))
    assert images[0][1] == 0  # the archive is open before the processes fork
    batches = list(DataLoader(images, batch_size=5, num_workers=2))
    assert np.array_equal(torch.cat([batch for batch, _ in batches]), pixels)
    assert np.array_equal(whole(pickle.loads(pickle.dumps(images))), pixels)


def damaged(content: bytes) -> bytes:
    """A PNG whose header is whole and whose pixels are not."""
    return content[: content.index(b"IDAT") + 20]


def test_only_headers_are_read_until_an_image_is_asked_for(tmp_path: Path) -> None:
    files = named(random_pixels(6))
    broken = list(files)[2]
    images, _ = open_store(ZipStore(write_zip(tmp_path / "a.zip", files | {broken: damaged(files[broken])})))
    assert images[1][0].shape == (3, 8, 8)
    with pytest.raises(DatasetError, match=rf"a.zip: cannot read '{broken}': it is damaged or cut short"):
        images[2]


def test_training_decodes_once_where_memory_allows_and_finds_damage_first(tmp_path: Path) -> None:
    path, pixels = labelled_zip(tmp_path / "a.zip")
    images, _ = open_store(ZipStore(path))
    kept = for_training(images, limit=pixels.nbytes)
    path.unlink()
    assert isinstance(kept, ImageSet)
    assert np.array_equal(whole(kept), pixels)
    assert kept.labels is images.labels
    assert for_training(images, limit=pixels.nbytes - 1) is images
    files = named(pixels)
    files[last] = damaged(files[last := list(files)[-1]])
    with pytest.raises(DatasetError, match=r"img00000039\.png"):
        for_training(open_store(FolderStore(write_folder(tmp_path / "b", files)))[0])


def test_a_file_that_is_gone_or_changed_is_told(tmp_path: Path) -> None:
    images, _ = open_store(FolderStore(write_folder(tmp_path, {f"{i}.png": encoded(GREY) for i in range(3)})))
    (tmp_path / "0.png").unlink()
    (tmp_path / "1.png").write_bytes(encoded(GREY.resize((4, 4))))
    with pytest.raises(DatasetError, match=r"cannot read '0.png': No such file or directory"):
        images[0]
    with pytest.raises(DatasetError, match=r"'1.png' has changed since the data set was opened"):
        images[1]


def huge_png(side: int) -> bytes:
    """A few bytes that claim side × side pixels."""
    content = bytearray(encoded(GREY))
    content[16:24] = side.to_bytes(4, "big") * 2
    return _with_header_checksum(content)


def deep_png() -> bytes:
    """16-bit RGB: the header of an 8-bit one, changed; nobody gets to its pixels."""
    content = bytearray(encoded(Image.new("RGB", (8, 8))))
    content[24] = 16
    return _with_header_checksum(content)


def _with_header_checksum(content: bytearray) -> bytes:
    import zlib

    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


def animation(kind: str) -> bytes:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x.png", b"", "cannot read 'x.png': it is not a PNG or JPEG image, or its start is damaged"),
        ("x.png", b"GIF89a", "it is not a PNG or JPEG image"),
        ("x.png", encoded(GREY)[:20], "cannot read 'x.png': it is "),
        ("x.png", animation("PNG"), r"it holds several frames \(an animation\); one image a file is read"),
        ("x.jpg", animation("MPO"), "it holds several frames"),
        ("x.gif", animation("GIF"), "'x.gif' is no PNG or JPEG image; convert it to PNG, or take it out"),
        ("x.png", encoded(GREY.resize((8, 4))), "the images differ: '0.png' is 8×8 grey, 'x.png' is 8×4 grey"),
        ("x.png", encoded(GREY.convert("RGB")), "the images differ: '0.png' is 8×8 grey, 'x.png' is 8×8 RGB"),
        ("x.png", encoded(GREY.convert("RGBA")), "it has transparency; flatten it"),
        ("x.png", encoded(GREY.convert("LA")), "it has transparency"),
        ("x.png", encoded(GREY.convert("P"), transparency=0), "it has transparency"),
        ("x.png", encoded(GREY.convert("I;16")), "it has 16 bits a channel; grey, RGB and palette images of 8 bits"),
        ("x.png", deep_png(), "it has 16 bits a channel"),
        ("x.jpg", encoded(GREY.convert("CMYK"), "JPEG"), "it has colour mode CMYK"),
        ("x.png", huge_png(5_000), "it claims 5000×5000 pixels; at most 4096 a side are read"),
        ("x.png", huge_png(100_000), "10000000000 pixels.* exceeds limit"),
        ("dataset.json", b"{", "cannot use 'dataset.json': it is not JSON"),
        ("dataset.json", b"[" * 100_000, "cannot use 'dataset.json': it is not JSON"),
        ("dataset.json", b"[]", r'it should be {"labels": \[\[FILE, CLASS\], …\]} or {"labels": null}'),
        ("dataset.json", labels_file(7), "it should be"),
        ("dataset.json", labels_file([["0.png", 0]]), "it has no label for '1.png' and 1 more"),
        ("dataset.json", labels_file([[f"{i}.png", 0] for i in range(5)]), "it labels '3.png' and 1 more, which"),
        ("dataset.json", labels_file([[f"{i}.png", 0.5] for i in range(3)]), r"0.5\] is not \[FILE, CLASS\]"),
        ("dataset.json", labels_file([[f"{i}.png", True] for i in range(3)]), "true] is not"),
        ("dataset.json", labels_file([[f"{i}.png", [0, 1]] for i in range(3)]), r"\[0, 1\]\] is not"),
        ("dataset.json", labels_file(["0.png", "1.png"]), '"0.png" is not'),
        ("dataset.json", labels_file([[f"{i}.png", -1] for i in range(3)]), "'0.png' has class -1"),
        ("dataset.json", labels_file([[f"{i}.png", 10**30] for i in range(3)]), "'0.png' has class 10"),
        ("dataset.json", labels_file(pairs(["0.png", "1.png", "2.png"], [0, 0, 2])), "no image has class 1, but"),
        ("dataset.json", labels_file([["0.png", 0], ["0.png", 1]]), "'0.png' has two labels, 0 and 1"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_that_does_not_fit_is_refused_with_its_name(
    tmp_path: Path, name: str, content: bytes, reason: str, zipped: bool
) -> None:
    files = {f"{i}.png": encoded(GREY) for i in range(3)} | {name: content}
    path = write_zip(tmp_path / "a.zip", files) if zipped else write_folder(tmp_path / "a", files)
    with pytest.raises(DatasetError, match=reason) as error:
        load_dataset(str(path))
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_folder_of_other_files_or_of_one_image_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds no images \(.png, .jpg\)"):
        load_dataset(str(write_folder(tmp_path, {"README": b""})))
    with pytest.raises(DatasetError, match="is too small to hold out 20% of it"):
        load_dataset(str(write_folder(tmp_path, {"a.png": encoded(GREY)})))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.zip", "is not a zip archive, or it is damaged"),
        ("a.tar.gz", "is not a .tar.gz archive, or it is damaged"),
        ("a.rar", "is no data set: a .zip, a folder of images or cifar-10-python.tar.gz is read"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / name).write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(DatasetError, match=reason):
        load_dataset(str(tmp_path / name))


def entry(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(name)
    found.external_attr = mode << 16
    return found


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (entry("../a.png"), r"entry '../a.png' leads outside the archive"),
        (entry("/etc/a.png"), "entry '/etc/a.png' leads outside"),
        (entry("a/../../b.png"), "leads outside"),
        (entry("a.png", stat.S_IFLNK | 0o777), "entry 'a.png' is a symbolic link"),
        (entry("0.png"), "holds several entries of the same name"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_entries_that_lead_elsewhere_are_refused(tmp_path: Path, bad: zipfile.ZipInfo, reason: str) -> None:
    path = write_zip(tmp_path / "a.zip", {"0.png": encoded(GREY)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(bad, encoded(GREY))
    with pytest.raises(DatasetError, match=reason):
        load_dataset(str(path))


def test_zip_bombs_are_refused_before_they_unpack(tmp_path: Path) -> None:
    large = {"a.png": bytes(70 << 20)}
    with pytest.raises(DatasetError, match=r"entry 'a.png' claims 73,400,320 bytes; at most 67,108,864 are read"):
        load_dataset(str(write_zip(tmp_path / "large.zip", large, compression=zipfile.ZIP_DEFLATED)))
    dense = {"dataset.json": bytes(20 << 20)}
    with pytest.raises(DatasetError, match=r"entry 'dataset.json' unpacks [\d,]+ bytes to 20,971,520: no image does"):
        load_dataset(str(write_zip(tmp_path / "dense.zip", dense, compression=zipfile.ZIP_DEFLATED)))
    with pytest.raises(DatasetError, match=r"entry 'a.png' is neither stored nor deflated"):
        load_dataset(str(write_zip(tmp_path / "lzma.zip", {"a.png": b"x"}, compression=zipfile.ZIP_LZMA)))


@pytest.mark.parametrize(
    ("limit", "value"), [("simcore.datasets.stores._MAX_ENTRIES", 4), ("simcore.zip_entries._MAX_DIRECTORY", 200)]
)
def test_an_archive_of_too_many_entries_is_refused_by_its_end_alone(
    limit: str, value: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_zip(tmp_path / "many.zip", named(random_pixels(5)))
    load_dataset(str(path))
    monkeypatch.setattr(limit, value)
    monkeypatch.setattr(zipfile, "ZipFile", None)  # would read the whole directory
    with pytest.raises(DatasetError, match=r"many.zip has a directory of 5 entries in \d+ bytes; at most"):
        load_dataset(str(path))


def test_an_entry_that_unpacks_to_more_than_it_claims_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"dataset.json": bytes(20 << 20)}, compression=zipfile.ZIP_DEFLATED)
    content = path.read_bytes()
    path.write_bytes(content.replace((20 << 20).to_bytes(4, "little"), (100).to_bytes(4, "little")))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a.png", encoded(GREY))
    with pytest.raises(DatasetError, match=r"cannot use 'dataset.json': Bad CRC-32"):
        load_dataset(str(path))


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.png": encoded(GREY)})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"entry 'a.png' is encrypted"):
        load_dataset(str(path))


def test_a_flipped_bit_in_an_archive_is_found(tmp_path: Path) -> None:
    image = encoded(picture(random_pixels(1)[0]))
    path = write_zip(tmp_path / "a.zip", {"a.png": image, "b.png": image})
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 30] ^= 1
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"cannot read 'a.png': .*Bad CRC-32"):
        open_store(ZipStore(path))[0][0]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: (path / "x.png").symlink_to(path / "0.png"), "x.png is a symbolic link; links are not followed"),
        (lambda path: (path / "x").symlink_to("/etc"), "x is a symbolic link"),
        (lambda path: os.mkfifo(path / "x.png"), "x.png is not an ordinary file"),
    ],
)
def test_links_and_special_files_in_a_folder_are_refused(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    write_folder(tmp_path, {"0.png": encoded(GREY), "1.png": encoded(GREY)})
    make(tmp_path)
    with pytest.raises(DatasetError, match=reason):
        load_dataset(str(tmp_path))


def test_a_file_too_large_for_an_image_is_not_read(tmp_path: Path) -> None:
    write_folder(tmp_path, {"0.png": encoded(GREY)})
    with (tmp_path / "1.png").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(DatasetError, match=r"cannot read '1.png': it has 1,073,741,824 bytes; at most 67,108,864"):
        load_dataset(str(tmp_path))
