"""`manage.py backup --out FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from studio.operations.archive import BackupProblem
from studio.operations.backup import backup


class Command(BaseCommand):
    help = "Write the database and all files into one archive. The studio may run meanwhile."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--out", type=Path, required=True, help="The archive to write, as in studio.tar.gz.")
        parser.add_argument(
            "--with-secret-key", action="store_true", help="Also the generated key, so that people stay signed in."
        )

    def handle(self, *args: Any, out: Path, with_secret_key: bool, **options: Any) -> None:
        try:
            manifest = backup(out.absolute(), with_secret_key=with_secret_key)
        except BackupProblem as problem:
            raise CommandError(str(problem)) from None
        self.stdout.write(f"{out}: the database and {len(manifest.members) - 1} files, {out.stat().st_size:,} bytes")
