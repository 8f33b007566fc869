"""CIFAR-10's archives, whole, damaged and hostile."""

from __future__ import annotations

import gzip
import pickle
import random
import resource
import tarfile
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from simcore.datasets import DatasetError, load_dataset
from simcore.datasets.cifar_pickle import read_batch
from simcore.edm_pickle_scan import Refused
from tests.simcore.datasets.files import (
    BATCHES,
    as_binary,
    as_python,
    batch_pickle,
    cifar_batches,
    random_pixels,
    write_folder,
    write_tar,
)

PYTHON, BINARY = "cifar-10-python.tar.gz", "cifar-10-binary.tar.gz"


def rows(count: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return random_pixels(count, (3, 32, 32), seed).reshape(count, 3072)


@given(st.integers(0, 300), st.integers(0, 1000), st.booleans(), st.data())
def test_a_batch_is_read_as_python_reads_it(count: int, seed: int, fortran: bool, data: st.DataObject) -> None:
    labels = data.draw(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=count, max_size=count))
    pixels = rows(count, seed)
    content = batch_pickle(pixels, labels, fortran)
    reference = pickle.loads(content, encoding="bytes")
    assert np.array_equal(reference[b"data"], pixels)
    assert reference[b"labels"] == labels
    found = read_batch(content)
    assert np.array_equal(found[0], pixels)
    assert found[1] == labels


@pytest.mark.parametrize("layout", ["python archive", "python folder", "binary archive", "binary folder"])
def test_every_layout_gives_the_training_batches_in_order_and_the_test_batch_as_held_out(
    tmp_path: Path, layout: str
) -> None:
    batches = cifar_batches()
    files = as_python(batches) if layout.startswith("python") else as_binary(batches)
    if layout.endswith("archive"):
        path = write_tar(tmp_path / "cifar.tar.gz", files | {"cifar-10-batches-py/readme.html": b"<p>"})
    else:
        path = write_folder(tmp_path, files) / next(iter(files)).partition("/")[0]
    data = load_dataset(str(path))
    assert str(data).startswith(
        "cifar10: 20 training and 4 held-out images, 3×32×32, 10 classes (airplane, automobile,"
    )
    assert data.train.labels is not None
    assert data.heldout.labels is not None
    assert data.train.labels.tolist() == [label for name in BATCHES[:5] for label in batches[name][1]]
    assert data.heldout.labels.tolist() == batches["test_batch"][1]
    expected = np.concatenate([batches[name][0] for name in BATCHES[:5]]).reshape(-1, 3, 32, 32)
    assert np.array_equal(data.train.pixels(torch.arange(20)), expected)
    image, label = data.heldout[2]
    assert np.array_equal(image.flatten(), batches["test_batch"][0][2])
    assert label == batches["test_batch"][1][2]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("data_batch_3", None, r"lacks data_batch_3 of CIFAR-10: download it again"),
        ("data_batch_3", b"", "cannot read '.*data_batch_3': truncated or damaged"),
        ("data_batch_3", batch_pickle(rows(2), [0, 1])[:-100], "truncated or damaged"),
        ("data_batch_3", batch_pickle(rows(2), [0]), "2 × 3,072 pixels for 1 labels"),
        ("data_batch_3", batch_pickle(rows(0), []), "it holds no images"),
        ("data_batch_3", batch_pickle(rows(2)[:, :-1], [0, 1]), "2 × 3,071 pixels for 2 labels"),
        ("data_batch_3", batch_pickle(rows(2), [0, 10]), "it has class 10; CIFAR-10 has 0 to 9"),
        ("data_batch_3", batch_pickle(rows(2), [0, -1]), "it has class -1"),
        ("data_batch_3", pickle.dumps({b"labels": [0]}, 2), "asks for '_codecs.encode', which no batch"),
        ("data_batch_3", pickle.dumps([], 2), "it holds no dictionary"),
    ],
)
def test_a_batch_that_is_missing_or_does_not_fit_is_told(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    files = as_python(cifar_batches(2))
    key = f"cifar-10-batches-py/{name}"
    changed = {other: files[other] for other in files if other != key} | ({key: content} if content is not None else {})
    with pytest.raises(DatasetError, match=reason) as error:
        load_dataset(str(write_tar(tmp_path / PYTHON, changed)))
    assert str(error.value).startswith(str(tmp_path / PYTHON))
    assert "\n" not in str(error.value)


def test_a_binary_batch_of_a_wrong_length_is_told(tmp_path: Path) -> None:
    files = as_binary(cifar_batches(2))
    files["cifar-10-batches-bin/test_batch.bin"] += b"x"
    with pytest.raises(DatasetError, match=r"'.*test_batch.bin': its 6,147 bytes are no multiple of a record's 3,073"):
        load_dataset(str(write_tar(tmp_path / BINARY, files)))


def test_a_truncated_archive_is_told(tmp_path: Path) -> None:
    path = write_tar(tmp_path / PYTHON, as_python(cifar_batches(2)))
    content = path.read_bytes()
    for length in (0, 5, 100, len(content) // 2, len(content) - 10):
        path.write_bytes(content[:length])
        with pytest.raises(DatasetError, match=r"is not a .tar.gz archive, or it is damaged|lacks data_batch_1"):
            load_dataset(str(path))


def test_links_in_an_archive_and_in_a_folder_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / PYTHON, "w:gz") as archive:
        member = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(DatasetError, match=r"'cifar-10-batches-py/data_batch_1' is not an ordinary file"):
        load_dataset(str(tmp_path / PYTHON))
    folder = write_folder(tmp_path / "py", as_python(cifar_batches(2))) / "cifar-10-batches-py"
    (folder / "test_batch").rename(tmp_path / "elsewhere")
    (folder / "test_batch").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="test_batch is not an ordinary file"):
        load_dataset(str(folder))


@pytest.mark.parametrize(
    ("kind", "reason"), [(tarfile.REGTYPE, "has more than 67,108,864 bytes"), (tarfile.XHDTYPE, "unpacks to more than")]
)
def test_an_archive_that_unpacks_without_end_is_refused(tmp_path: Path, kind: bytes, reason: str) -> None:
    """A batch, and a header that tells a long name, of a gigabyte of zeros."""
    member = tarfile.TarInfo("data_batch_1")
    member.type, member.size = kind, 1 << 30
    packer = zlib.compressobj(wbits=31)  # gzip's
    start = packer.compress(member.tobuf()) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(16 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    (tmp_path / PYTHON).write_bytes(start + 64 * zeros)
    with pytest.raises(DatasetError, match=reason):
        load_dataset(str(tmp_path / PYTHON))


def executing(marker: Path) -> bytes:
    """A batch whose 'data' is the result of a command."""
    command = f"touch {marker}".encode()
    return b"\x80\x02}U\x04datacposix\nsystem\nU" + bytes([len(command)]) + command + b"\x85Rs."


def test_a_batch_that_would_execute_something_is_refused_by_name(tmp_path: Path) -> None:
    pickle.loads(executing(tmp_path / "proof"))
    assert (tmp_path / "proof").exists()
    with pytest.raises(Refused, match=r"it asks for 'posix.system', which no batch of CIFAR-10 needs"):
        read_batch(executing(tmp_path / "marker"))
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x80\x04Nr" + (250_000_000).to_bytes(4, "little") + b".", "it holds no dictionary"),
        (b"\x80\x02" + b"]" * 1_000_000 + b".", "too large: more than 200,000 opcodes"),
        (b"\x80\x02}" + b")" + b"\x85" * 199_000 + b"K\x00s.", "a dictionary whose keys are no strings"),
        (b"\x80\x02T\xff\xff\xff\x7fabc.", "truncated or damaged"),
        (b"\x80\x02cnumpy\ndtype\n)\x81.", "not a batch of CIFAR-10: opcode NEWOBJ"),
        (b"\x80\x02cnumpy\ndtype\n}U\x01aK\x00sb.", "damaged: a Call is missing on its stack"),
        (b"\x80\x02K\x00)R.", "damaged: its program fails"),
        (b"not a pickle", "not a pickle, or damaged|not a batch"),
    ],
)
def test_programs_that_are_no_batch_are_refused(content: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        read_batch(content)


INSERTED = [b"r\xff\xff\xff\x0f", b"cos\nsystem\n", b"(", b"0", b"2", b"R", b"b", b"\x8a\xff", b"T\xff\xff\xff\x7f"]


def mutated(content: bytes, chance: random.Random) -> bytes:
    """The content with bytes changed, cut out, repeated, or opcodes put in: more often at its start, before pixels."""
    found = bytearray(content)
    for _ in range(chance.randint(1, 5)):
        place = chance.randrange(min(700, len(found)) if chance.random() < 0.8 else len(found))
        match chance.randrange(4):
            case 0:
                found[place] = chance.randrange(256)
            case 1:
                del found[place : place + chance.randint(1, 50)]
            case 2:
                found[place:place] = found[place : place + chance.randint(1, 50)]
            case _:
                found[place:place] = chance.choice(INSERTED)
    return bytes(found)


def test_mutated_batches_end_in_a_batch_or_a_reason_soon_and_in_little_memory(tmp_path: Path) -> None:
    chance = random.Random(0)
    content = batch_pickle(rows(100), [index % 10 for index in range(100)])
    hostile = executing(tmp_path / "marker")
    before, began, reasons = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time(), []
    for index in range(1000):
        try:
            pixels, labels = read_batch(mutated(hostile if index % 10 == 0 else content, chance))
            assert pixels.dtype == np.uint8
            assert all(isinstance(label, int) for label in labels)
        except Refused as error:
            reasons.append(str(error))
    assert len(reasons) > 500
    assert all(len(reason.splitlines()) == 1 for reason in reasons)
    assert not (tmp_path / "marker").exists()
    assert time.process_time() - began < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 << 10  # in KiB


def test_archives_with_a_changed_byte_end_in_a_data_set_or_a_reason(tmp_path: Path) -> None:
    chance = random.Random(0)
    content = gzip.decompress(write_tar(tmp_path / PYTHON, as_python(cifar_batches(2))).read_bytes())
    reasons = []
    for _ in range(100):
        changed = bytearray(content)
        changed[chance.randrange(0, len(content), 512) + chance.randrange(160)] ^= chance.randrange(1, 256)
        (tmp_path / PYTHON).write_bytes(gzip.compress(bytes(changed), 1))
        try:
            assert len(load_dataset(str(tmp_path / PYTHON)).heldout) == 2
        except DatasetError as error:
            reasons.append(str(error))
    assert reasons
    assert all(len(reason.splitlines()) == 1 for reason in reasons)
