"""`manage.py set_up`: what has to be done once before, and after each upgrade of, a studio of several containers."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from studio.common.setup import set_up
from studio.environment import EnvironmentProblem, prepare_data_folder


class Command(BaseCommand):
    help = "Migrate the database, enter what ships with the studio, and make the first administrator where nobody is."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            prepare_data_folder(settings.DATA)
        except EnvironmentProblem as problem:
            raise CommandError(str(problem)) from None
        if password := set_up(demo=settings.ENVIRONMENT.demo):
            self.stdout.write(f"Sign in as admin with the one-time password: {password}")
            self.stdout.write("It is shown only now; choose your own after signing in.")
        self.stdout.write("The studio is set up.")
