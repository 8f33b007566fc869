"""Verbs on people."""

from __future__ import annotations

import secrets

from django.db import transaction

from studio.accounts.models import Role, User


def first_administrator_create() -> str | None:
    """Create the user `admin` where nobody exists yet, and return the one-time password; None otherwise."""
    with transaction.atomic():
        if User.objects.exists():
            return None
        password = secrets.token_urlsafe(12)
        User.objects.create_superuser("admin", password=password, role=Role.ADMINISTRATOR, has_initial_password=True)
        return password
