"""Bring the data folder to the state that this version of the code expects."""

from __future__ import annotations

from django.core.management import call_command

from studio.accounts.models import User
from studio.accounts.services import first_administrator_create
from studio.catalog.services import bundled_teachers_register
from studio.runs.services import demo_run_create


def set_up(*, demo: bool) -> str | None:
    """Migrate, register what ships with simcore, make the first administrator and the demo run.

    Returns the administrator's one-time password where it was made just now.
    """
    call_command("migrate", verbosity=0, interactive=False)
    bundled_teachers_register()
    password = first_administrator_create()
    if password and demo:
        demo_run_create(User.objects.get(username="admin"))
    return password
