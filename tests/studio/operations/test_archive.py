"""What is refused before anything is changed."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from studio.operations.archive import BackupProblem, Entry, unpack
from studio.operations.backup import backup, files_of
from studio.operations.restore import restore

Change = Callable[[dict[str, bytes]], None]


@pytest.fixture
def data(settings: Any, tmp_path: Path) -> Path:
    settings.DATA = tmp_path / "data"
    files = {"runs/1/attempts/1/samples/1.png": b"png", "teachers/mine.safetensors": b"weights" * 1000}
    left_out = {
        "logs/web.log": b"",
        "backups/old.tar.gz": b"",
        "redis/dump": b"",
        "secret_key": b"key",
        "studio.sqlite3-wal": b"",
        "up.lock": b"",
    }
    for name, content in {**files, **left_out}.items():
        path = settings.DATA / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Path(settings.DATA)


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch, data: Path, user: Any, tmp_path: Path) -> Path:
    """A backup of that folder. The database's own part is test_backup.py's: this one runs inside a transaction."""
    monkeypatch.setattr("studio.operations.backup.dump_database", lambda target: target.write_bytes(b"rows"))
    target = tmp_path / "studio.tar.gz"
    backup(target)
    return target


def rewrite(archive: Path, change: Change) -> None:
    """Read the members, change them, and write them again."""
    with tarfile.open(archive) as tar:
        members = {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]
    change(members)
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def manifest_with(**changes: object) -> Change:
    def change(members: dict[str, bytes]) -> None:
        members["manifest.json"] = json.dumps(json.loads(members["manifest.json"]) | changes).encode()

    return change


def test_a_backup_keeps_the_files_of_the_state_and_no_others(archive: Path, tmp_path: Path) -> None:
    manifest = unpack(archive, tmp_path / "unpacked")
    names = {"database", "data/runs/1/attempts/1/samples/1.png", "data/teachers/mine.safetensors"}
    assert set(manifest.members) == names
    assert (tmp_path / "unpacked/data/teachers/mine.safetensors").read_bytes() == b"weights" * 1000
    assert manifest.members["database"] == Entry(size=4, sha256=hashlib.sha256(b"rows").hexdigest())


def test_only_its_owner_may_read_a_backup(archive: Path) -> None:
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600


def test_links_are_not_followed(data: Path, tmp_path: Path) -> None:
    (tmp_path / "private").write_text("private")
    (data / "link").symlink_to(tmp_path)
    (data / "runs/link").symlink_to(tmp_path / "private")
    (data / "runs/folder").symlink_to(tmp_path)
    assert [path.name for path in files_of(data)] == ["1.png", "mine.safetensors"]


def test_an_existing_file_is_not_overwritten(archive: Path) -> None:
    before = archive.read_bytes()
    with pytest.raises(BackupProblem, match="exists already"):
        backup(archive)
    assert archive.read_bytes() == before


def test_a_backup_that_cannot_be_written_leaves_nothing(data: Path, user: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="cannot be written: "):
        call_command("backup", out=tmp_path / "file" / "studio.tar.gz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "file"]


def damage(members: dict[str, bytes]) -> None:
    members["data/teachers/mine.safetensors"] = b"Weights" * 1000


def remove(members: dict[str, bytes]) -> None:
    del members["data/teachers/mine.safetensors"]


def add(members: dict[str, bytes]) -> None:
    members["data/extra"] = b""


REFUSED: dict[str, tuple[Change, str]] = {
    "a changed file": (damage, r"damaged or missing in the archive: data/teachers/mine.safetensors \(1 in all\)"),
    "a missing file": (remove, "damaged or missing in the archive: data/teachers"),
    "a file too many": (add, "damaged or missing in the archive: data/extra"),
    "no manifest": (lambda members: members.pop("manifest.json") and None, "its manifest is missing"),
    "a manifest that is none": (
        lambda members: members.update({"manifest.json": b"[]"}),
        "manifest cannot be read",
    ),
    "a newer format": (manifest_with(format=2), "has format 2; this studio reads 1: upgrade"),
    "a newer studio": (
        manifest_with(migrations=[["jobs", "9999_later"]]),
        r"of a newer studio \(0\.1\.0; jobs\.9999_later is not known here\)",
    ),
    "another database": (manifest_with(vendor="oracle"), "of a studio on oracle; this one is on"),
    "a path that climbs": (lambda members: members.update({"data/../../evil": b""}), "'data/../../evil', which no"),
    "an absolute path": (lambda members: members.update({"/tmp/evil": b""}), "/evil', which no backup"),
    "an unknown folder": (lambda members: members.update({"etc/passwd": b""}), "'etc/passwd', which no backup"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_archive_that_is_not_right_changes_nothing(archive: Path, data: Path, tmp_path: Path, what: str) -> None:
    change, message = REFUSED[what]
    rewrite(archive, change)
    before = sorted(data.rglob("*"))
    with pytest.raises(BackupProblem, match=message):
        restore(archive, force=True)
    assert sorted(data.rglob("*")) == before
    assert not list(tmp_path.rglob("evil"))


def test_a_link_in_an_archive_is_refused(archive: Path, data: Path) -> None:
    with tarfile.open(archive, "w:gz") as tar:
        info = tarfile.TarInfo("data/link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(info)
    with pytest.raises(BackupProblem, match="'data/link', which no backup"):
        restore(archive, force=True)


@pytest.mark.parametrize("bytes_kept", [0, 10, 200])
def test_half_an_archive_is_refused(archive: Path, data: Path, bytes_kept: int) -> None:
    archive.write_bytes(archive.read_bytes()[:bytes_kept])
    with pytest.raises(BackupProblem):
        restore(archive, force=True)


def test_what_is_no_archive_is_refused(data: Path, db: None, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(gzip.compress(b"no tar"))
    for name in ("a.txt", "missing.tar.gz"):
        with pytest.raises(CommandError, match=f"{name} cannot be read to its end"):
            call_command("restore", tmp_path / name, force=True)


def test_a_studio_in_use_is_not_replaced(archive: Path, data: Path) -> None:
    with pytest.raises(BackupProblem, match=r"not empty \(it has 1 users\); --force puts its state aside"):
        restore(archive)


def test_a_studio_that_runs_is_not_replaced(archive: Path, data: Path) -> None:
    with (data / "up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BackupProblem, match="a studio is running"):
            restore(archive, force=True)
