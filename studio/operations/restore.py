"""Bring an archive back into a studio that stands still. Nothing is changed before the whole archive is checked."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from studio.accounts.models import User
from studio.environment import prepare_data_folder
from studio.operations.archive import DATA, DATABASE, BackupProblem, Manifest, unpack
from studio.operations.backup import entries_of
from studio.operations.dump import load_database


def restore(archive: Path, *, force: bool = False) -> str:
    """Put the archive's state in the place of this studio's. Raises BackupProblem.

    Returns the name under which the state before is kept, in the data folder and in the database; empty where there
    was none.
    """
    prepare_data_folder(settings.DATA)
    with _standing_still():
        occupied = _occupied()
        if occupied and not force:
            raise BackupProblem(f"this studio is not empty ({occupied}); --force puts its state aside")
        with tempfile.TemporaryDirectory(dir=settings.DATA, prefix=".restore-") as name:
            folder = Path(name)
            manifest = unpack(archive, folder)
            _check_origin(manifest)
            aside = f"before-restore-{datetime.now(UTC):%Y%m%d-%H%M%S}" if occupied else ""
            load_database(folder / DATABASE, aside.replace("-", "_"))
            _exchange_files(folder / DATA, aside)
        call_command("migrate", verbosity=0, interactive=False)
    return aside


@contextmanager
def _standing_still() -> Iterator[None]:
    """`manage.py up` holds this lock for as long as it runs."""
    with (settings.DATA / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupProblem(f"a studio is running on {settings.DATA}; stop it first") from None
        yield


def _occupied() -> str:
    """What would be lost; empty for a studio in which nobody has been."""
    if User._meta.db_table in connection.introspection.table_names() and User.objects.exists():
        return f"it has {User.objects.count()} users"
    files = [path.name for path in entries_of(settings.DATA) if path.is_file() or any(path.iterdir())]
    return f"its data folder holds {', '.join(sorted(files)[:3])}" if files else ""


def _check_origin(manifest: Manifest) -> None:
    if manifest.vendor != connection.vendor:
        raise BackupProblem(f"the archive is of a studio on {manifest.vendor}; this one is on {connection.vendor}")
    known = set(MigrationLoader(None).disk_migrations)
    if newer := sorted(set(manifest.migrations) - known):
        app, name = newer[0]
        raise BackupProblem(
            f"the archive is of a newer studio ({manifest.version}; {app}.{name} is not known here): upgrade this one"
        )


def _exchange_files(new: Path, aside: str) -> None:
    for path in entries_of(settings.DATA) if aside else ():
        (settings.DATA / aside).mkdir(exist_ok=True)
        path.rename(settings.DATA / aside / path.name)
    for path in new.iterdir() if new.exists() else ():
        if path.name == "secret_key":
            path.chmod(0o600)
        target = settings.DATA / path.name
        if target.is_dir():
            target.rmdir()  # an empty one, or somebody has begun to work: then this raises
        path.rename(target)
