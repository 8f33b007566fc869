"""`manage.py restore FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from studio.environment import EnvironmentProblem
from studio.operations.archive import BackupProblem
from studio.operations.restore import restore


class Command(BaseCommand):
    help = "Check an archive whole, then put it in the place of this studio's state. The studio must stand still."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("archive", type=Path)
        parser.add_argument("--force", action="store_true", help="Put the present state aside; nothing is deleted.")

    def handle(self, *args: Any, archive: Path, force: bool, **options: Any) -> None:
        try:
            aside = restore(archive, force=force)
        except (BackupProblem, EnvironmentProblem) as problem:
            raise CommandError(str(problem)) from None
        self.stdout.write(f"{archive} is restored.")
        if aside:
            self.stdout.write(f"What was there before is kept under the name {aside}; delete it when all is well.")
