"""`manage.py healthy PROGRAM`: exit code 0 where that program of this machine works; for health checks."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from kombu.exceptions import OperationalError

from studio.celery import QUEUES, app
from studio.common.programs import PROGRAMS, beat_schedule

PING_SECONDS = 5.0
# Beat writes its file after each ring; three may be late.
LATE_RINGS = 4


class Command(BaseCommand):
    help = "Ask one program of the studio on this machine whether it works."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("program", choices=PROGRAMS)

    def handle(self, *args: Any, program: str, **options: Any) -> None:
        if program in QUEUES:
            _check_worker(program)
        elif program == "beat":
            _check_beat()
        else:
            _check_web()
        self.stdout.write(f"{program} works")


def _check_worker(queue: str) -> None:
    name = f"{queue}@{socket.gethostname()}"
    try:
        answers = app.control.ping(destination=[name], timeout=PING_SECONDS, limit=1)
    except (OperationalError, OSError) as error:
        raise CommandError(f"Redis does not answer: {error}") from None
    if not answers:
        raise CommandError(f"the worker {name} does not answer")


def _check_beat() -> None:
    file = beat_schedule(settings.ENVIRONMENT)
    written = max((path.stat().st_mtime for path in file.parent.glob(f"{file.name}*")), default=None)
    if written is None:
        raise CommandError(f"beat has not written {file}")
    if (age := time.time() - written) > LATE_RINGS * max(settings.RING_SECONDS, 5.0):
        raise CommandError(f"beat last rang {age:.0f} s ago")


def _check_web() -> None:
    url = f"http://127.0.0.1:{settings.ENVIRONMENT.port}/readyz"
    try:
        with urllib.request.urlopen(url, timeout=PING_SECONDS):
            pass
    except urllib.error.HTTPError as error:
        raise CommandError(error.read().decode(errors="replace")) from None
    except OSError as error:
        raise CommandError(f"{url} does not answer: {error}") from None
