"""`manage.py create_token NAME`: an API token for a script that sets a studio up, without a browser."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from studio.accounts.models import Scope, User
from studio.accounts.tokens import DEFAULT_DAYS, MOST_DAYS, token_create


class Command(BaseCommand):
    help = "Print a new API token of a person, this once. Whoever can run this can read the database anyway."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--scope", choices=Scope.values, default=Scope.READ.value)
        parser.add_argument("--days", type=int, default=DEFAULT_DAYS, help=f"between 1 and {MOST_DAYS}")
        parser.add_argument("--name", default="command line", help="shown in the list of tokens")

    def handle(self, *args: Any, username: str, scope: str, days: int, name: str, **options: Any) -> None:
        if not 1 <= days <= MOST_DAYS:
            raise CommandError(f"--days {days}: between 1 and {MOST_DAYS}")
        if not 1 <= len(name) <= 100:
            raise CommandError("--name: between 1 and 100 characters")
        person = User.objects.filter(username=username, is_active=True).first()
        if person is None:
            raise CommandError(f"there is no active person “{username}”")
        _, secret = token_create(user=person, name=name, scope=Scope(scope), days=days)
        self.stdout.write(secret)
