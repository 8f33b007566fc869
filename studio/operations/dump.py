"""The database as one file, and back: SQLite's own backup, or pg_dump and pg_restore."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import psycopg
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from psycopg import sql
from psycopg.conninfo import make_conninfo

from studio.operations.archive import BackupProblem


def applied_migrations() -> list[tuple[str, str]]:
    """What the database went through, as (app, migration)."""
    return sorted(MigrationRecorder(connection).applied_migrations())


def dump_database(target: Path) -> None:
    """Write one consistent state of the database, while others go on working with it. Raises BackupProblem."""
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(_sqlite_file())) as live, closing(sqlite3.connect(target)) as copy:
            live.backup(copy)
    else:
        _postgresql("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target}")


def load_database(source: Path, aside: str) -> None:
    """Put the dump in the database's place; what was there is kept under the name `aside`, or dropped where that is
    empty. Raises BackupProblem.
    """
    connection.close()
    if connection.vendor == "sqlite":
        _load_sqlite(source, aside)
    else:
        _load_postgresql(source, aside)


def _sqlite_file() -> Path:
    return Path(connection.settings_dict["NAME"])


def _load_sqlite(source: Path, aside: str) -> None:
    live = _sqlite_file()
    for suffix in ("", "-wal", "-shm"):
        old = live.with_name(live.name + suffix)
        if old.exists() and not aside:
            old.unlink()
        elif old.exists():
            old.rename(old.with_name(f"{live.name}.{aside}{suffix}"))
    live.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, live)


def _load_postgresql(source: Path, aside: str) -> None:
    """The old tables' schema is renamed, and comes back where the dump cannot be loaded."""
    keep = sql.SQL("ALTER SCHEMA {} RENAME TO {}")
    public, kept = sql.Identifier("public"), sql.Identifier(aside or "before_restore")
    with psycopg.connect(_connection_string(), password=_password(), autocommit=True) as server:
        server.execute(keep.format(public, kept))
        server.execute(sql.SQL("CREATE SCHEMA {}").format(public))
        try:
            _postgresql("pg_restore", "--no-owner", "--no-privileges", "--single-transaction", str(source))
        except BackupProblem:
            server.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(public))
            server.execute(keep.format(kept, public))
            raise
        if not aside:
            server.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(kept))


def _postgresql(program: str, *arguments: str) -> None:
    if shutil.which(program) is None:
        raise BackupProblem(
            f"{program} is not installed; PostgreSQL's client programs have it (Debian: postgresql-client), in the "
            "server's version or a newer one"
        )
    result = subprocess.run(
        [program, *arguments, f"--dbname={_connection_string()}"],
        env={**os.environ, "PGPASSWORD": _password()},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise BackupProblem(f"{program} failed: {result.stderr.strip()}")


def _connection_string() -> str:
    """Without the password, which would stand in the list of processes."""
    connection.ensure_connection()
    parameters = connection.connection.info.get_parameters()
    parameters.pop("options", None)
    return make_conninfo("", **parameters)


def _password() -> str:
    connection.ensure_connection()
    return str(connection.connection.info.password or "")
