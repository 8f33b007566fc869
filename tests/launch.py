"""Queue a run from inside the studio's Django, as the form would."""

from __future__ import annotations

from studio.accounts.models import User
from studio.runs.services import run_create
from tests.launch_spec import spec_with


def launch(changes: dict[str, object], username: str = "ada") -> int:
    """A run of the digits preset with the given dotted settings; returns its id."""
    user = User.objects.get(username=username)
    return run_create(owner=user, name="test", preset="digits-demo", spec=spec_with(changes)).pk
