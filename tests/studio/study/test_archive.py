"""Uploaded archives: a good one is matched by its manifest, a bad one changes nothing."""

from __future__ import annotations

import io
import json
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from studio.study import archive
from studio.study.archive import images_upload
from studio.study.lifecycle import StudyRefused
from studio.study.models import Study, StudyEvent
from studio.study.pictures import live_images
from studio.study.prompts import Line, prompts_set
from studio.study.storage import image_path, study_folder
from tests.studio.study.builders import archive_of, draft_study, open_study, png, upload, zipped


@pytest.fixture
def study(user: Any) -> Study:
    return draft_study(user, prompts=2)


def manifest(**names: str) -> bytes:
    return json.dumps(names).encode()


def test_a_manifest_matches_files_by_number_or_text(study: Study, user: Any) -> None:
    rows = b'file,prompt\n"b, two.png",2\nsub/a.jpg,prompt 1\n'
    files = {"manifest.csv": rows, "sub/a.jpg": png(9, kind="JPEG"), "b, two.png": png(8), "__MACOSX/._a": b"?"}
    assert upload(study, user, 1, zipped(files)) == 2
    first, second = live_images(study)
    assert (first.prompt.position, second.prompt.position) == (0, 1)
    assert {first.arm.position, second.arm.position} == {1}
    assert image_path(second).read_bytes().startswith(b"\x89PNG")
    assert (first.review, first.seed, first.sampler) == ("pending", None, "uploaded")
    assert StudyEvent.objects.filter(what__startswith="uploaded 2 images as ").exists()


def test_uploading_again_supersedes_what_was_there(study: Study, user: Any) -> None:
    upload(study, user, 0, archive_of(2))
    before = list(live_images(study))
    upload(study, user, 0, archive_of(2, shade=50))
    assert not set(before) & set(live_images(study))
    assert all(image_path(image).is_file() for image in before), "what was reviewed can be looked up"


def linked() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        entry = zipfile.ZipInfo("1.png")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(entry, "/etc/passwd")
    return buffer.getvalue()


def repeated() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("1.png", png())
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("1.png", png())
    return buffer.getvalue()


def lying() -> bytes:
    """An entry that claims 100 bytes and unpacks to 40 MB."""
    content = zlib.compress(bytes(40 << 20))[2:-4]
    good = zipped({"manifest.json": manifest(**{"1": "1.png", "2": "1b.png"}), "1b.png": png()})
    buffer = io.BytesIO(good)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("1.png", bytes(100))
    data = buffer.getvalue()
    at = data.rindex(struct.pack("<I", 0x04034B50))
    entry = zipfile.ZipFile(io.BytesIO(data)).getinfo("1.png")
    packed = at + 30 + len("1.png")
    changed = data[:packed] + content + data[packed + entry.compress_size :]
    size = struct.pack("<I", len(content))
    changed = changed[: at + 18] + size + changed[at + 22 :]
    directory = changed.rindex(struct.pack("<I", 0x02014B50))
    start = len(content) - entry.compress_size + struct.unpack("<I", changed[-6:-2])[0]
    changed = changed[: directory + 20] + size + changed[directory + 24 : -6] + struct.pack("<I", start) + changed[-2:]
    return changed


TWO = manifest(**{"1": "1.png", "2": "2.png"})
GOOD = {"1.png": png(1), "2.png": png(2)}


def newer() -> bytes:
    """A directory that asks for a version of the format that nobody has."""
    content = zipped(GOOD | {"manifest.json": TWO})
    directory = content.index(b"PK\x01\x02")
    return content[: directory + 6] + b"\x63\x00" + content[directory + 8 :]


def misnamed() -> bytes:
    """A name that is said to be UTF-8 and is not."""
    content = zipped({"é.png": png(), "manifest.json": TWO})
    directory = content.index(b"PK\x01\x02")
    return content[:directory] + content[directory:].replace("é.png".encode(), b"\xff\xfe.png")


MANY = {f"{number}.txt": b"" for number in range(archive.MOST_ENTRIES + 1)}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no zip at all", "not a zip archive"),
        (zipped(GOOD | {"manifest.json": TWO})[:-30], "not a zip archive"),
        (zipped({"../1.png": png(), "manifest.json": TWO}), "'../1.png' leads outside"),
        (zipped({"/etc/1.png": png(), "manifest.json": TWO}), "'/etc/1.png' leads outside"),
        (linked(), "'1.png' is a symbolic link"),
        (repeated(), "'1.png' is there twice"),
        (zipped(GOOD | {"zeros": bytes(3 << 20)}), "'zeros' unpacks"),
        (zipped(MANY), "2,001 entries in"),
        (lying(), "1.png"),
        (zipped(GOOD), "needs one of manifest.csv and manifest.json"),
        (zipped(GOOD | {"manifest.json": TWO, "manifest.csv": b""}), "needs one of"),
        (zipped(GOOD | {"manifest.json": b"{"}), "manifest.json is not JSON"),
        (zipped(GOOD | {"manifest.json": b"[" * 100_000}), "manifest.json is not JSON"),
        (zipped(GOOD | {"manifest.json": b'{"1": {"file": "1.png"}}'}), "should map prompts to files"),
        (zipped(GOOD | {"manifest.json": b"[]"}), "should map prompts to files"),
        (zipped(GOOD | {"manifest.json": b'{"1": "1.png", "1": "2.png"}'}), "entry 2: prompt 1 is named twice"),
        (zipped(GOOD | {"manifest.json": manifest(**{"1": "1.png"})}), "no file for prompt 2"),
        (zipped(GOOD | {"manifest.json": manifest(**{"3": "1.png"})}), "there is no prompt 3"),
        (zipped(GOOD | {"manifest.json": manifest(cat="1.png")}), "no prompt reads 'cat'"),
        (zipped(GOOD | {"manifest.json": manifest(**{"1": "one.png"})}), "no file 'one.png' in the archive"),
        (zipped(GOOD | {"manifest.csv": b"number,name\n1,1.png\n"}), "columns prompt and file"),
        (zipped(GOOD | {"manifest.csv": b"\xff"}), "not UTF-8"),
        (zipped(GOOD | {"manifest.json": TWO, "2.png": b"no image"}), "entry 2.png is not a PNG"),
        (zipped(GOOD | {"manifest.json": TWO, "2.png": png(size=(200, 200))[:-150]}), "entry 2.png is damaged"),
        (newer(), "not a zip archive"),
        (misnamed(), "not a zip archive"),
    ],
    ids=range(26),
)
def test_a_bad_archive_is_refused_by_name_and_changes_nothing(
    study: Study, user: Any, content: bytes, said: str
) -> None:
    upload(study, user, 0, archive_of(2))
    before, files = list(live_images(study)), everything(study)
    events = StudyEvent.objects.count()
    with pytest.raises(StudyRefused) as refusal:
        upload(study, user, 0, content)
    assert said in str(refusal.value)
    assert refusal.value.field == "file"
    assert list(live_images(study)) == before
    assert everything(study) == files, "no file was left behind"
    assert StudyEvent.objects.count() == events


def everything(study: Study) -> set[Path]:
    return set(study_folder(study.pk).rglob("*.png"))


def test_prompts_that_read_alike_are_named_by_number(study: Study, user: Any) -> None:
    prompts_set(study, user, [Line("the same"), Line("the same")])
    files = GOOD | {"manifest.json": json.dumps({"the same": "1.png", "2": "2.png"}).encode()}
    with pytest.raises(StudyRefused, match="several prompts read 'the same': give its number"):
        upload(study, user, 0, zipped(files))
    assert upload(study, user, 0, archive_of(2)) == 2


def test_an_archive_that_is_too_large_is_not_even_opened(study: Study, user: Any) -> None:
    with pytest.raises(StudyRefused, match="at most 1,073,741,824 are taken"):
        images_upload(study, user, position=0, name="big.zip", file=io.BytesIO(), size=archive.MOST_ARCHIVE + 1)


def test_only_an_arm_of_uploaded_images_takes_them_and_only_before_the_opening(user: Any, teacher: Any) -> None:
    from studio.study.arms import arm_set

    study = draft_study(user)
    arm_set(study, user, position=0, kind="teacher", teacher=teacher)
    with pytest.raises(StudyRefused, match="choose “Uploaded images” first"):
        upload(study, user, 0, archive_of(3))
    with pytest.raises(StudyRefused, match="The study is open"):
        upload(open_study(user), user, 0, archive_of(3))
