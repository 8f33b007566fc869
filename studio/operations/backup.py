"""Write everything that a studio would need elsewhere into one file, while it runs.

The database is copied first: files that come later are more than it knows, never less. Of what retention deletes while
the files are copied, nothing is left but the row, as after any deletion.
"""

from __future__ import annotations

import contextlib
import fnmatch
import gzip
import os
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from django.conf import settings
from django.db import connection

from studio.operations.archive import DATA, DATABASE, FORMAT, BackupProblem, Manifest, Writer
from studio.operations.dump import applied_migrations, dump_database

# Made anew wherever the studio starts, or copied by other means. Everything else in the data folder is kept.
LEFT_OUT = (
    "studio.sqlite3*", "redis", "redis.sock", "logs", "beat", "celerybeat-schedule*", "up.lock", "secret_key*",
    "backups", "before-restore-*", ".restore-*",
)  # fmt: skip


def backup(target: Path, *, with_secret_key: bool = False) -> Manifest:
    """Write the archive, readable by its owner only. Raises BackupProblem; then no file is left."""
    if target.exists():
        raise BackupProblem(f"{target} exists already; choose another name")
    if with_secret_key and not (settings.DATA / "secret_key").is_file():
        raise BackupProblem("there is no secret key in the data folder: it comes from SIMSTUDIO_SECRET_KEY")
    draft = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with (
            open(descriptor, "wb") as file,
            gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1) as squeezed,  # weights hardly shrink
            tarfile.open(fileobj=squeezed, mode="w|") as tar,
        ):
            manifest = _fill(Writer(tar), target.parent, {draft, target}, with_secret_key=with_secret_key)
        draft.rename(target)
    except OSError as error:
        raise BackupProblem(f"{target} cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    return manifest


def _fill(writer: Writer, scratch: Path, itself: set[Path], *, with_secret_key: bool) -> Manifest:
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".backup-") as folder:
        dump = Path(folder) / DATABASE
        migrations = applied_migrations()
        dump_database(dump)
        writer.add(dump, DATABASE)
    for path in files_of(settings.DATA):
        if path not in itself:
            writer.add(path, f"{DATA}/{path.relative_to(settings.DATA).as_posix()}")
    if with_secret_key:
        writer.add(settings.DATA / "secret_key", f"{DATA}/secret_key")
    manifest = Manifest(
        format=FORMAT,
        version=version("sim-studio"),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        vendor=connection.vendor,
        migrations=migrations,
        members=writer.members,
    )
    writer.finish(manifest)
    return manifest


def files_of(data: Path) -> Iterator[Path]:
    """The files of a data folder that a backup keeps. Links are not followed."""
    for top in sorted(entries_of(data)):
        if top.is_dir():
            for folder, _, names in os.walk(top):
                yield from (path for name in sorted(names) if _is_file(path := Path(folder, name)))
        elif _is_file(top):
            yield top


def entries_of(data: Path) -> list[Path]:
    """What lies directly in a data folder and belongs to its state."""
    if not data.is_dir():
        return []
    kept = (path for path in data.iterdir() if not any(fnmatch.fnmatch(path.name, pattern) for pattern in LEFT_OUT))
    return [path for path in kept if not path.is_symlink()]


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
