"""`manage.py start PROGRAM`: one of the studio's programs, in the place of this process, as containers want it."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from studio.common.programs import PROGRAMS


class Command(BaseCommand):
    help = "Become one program of the studio: the web server, a worker of one queue, or beat."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("program", choices=PROGRAMS)

    def handle(self, *args: Any, program: str, **options: Any) -> None:
        sys.stdout.flush()
        command = PROGRAMS[program](settings.ENVIRONMENT).command
        os.execv(command[0], command)  # noqa: S606  # so that signals reach the program itself
