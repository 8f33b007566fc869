"""Builders shared by all tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from simcore.presets import find_preset
from simcore.teacher_card import TeacherCard


@pytest.fixture(scope="session")
def redis_server() -> Iterator[None]:
    """The studio's own Redis, really running, on the settings' socket."""
    from django.conf import settings

    from studio.common.redis_server import redis_command, wait_for_redis
    from studio.environment import prepare_data_folder

    prepare_data_folder(settings.DATA)
    log = Path(settings.DATA) / "redis.log"
    with log.open("ab") as output, subprocess.Popen(redis_command(settings.ENVIRONMENT), stdout=output) as process:
        wait_for_redis(settings.ENVIRONMENT, log)
        yield
        process.terminate()


@pytest.fixture
def user(db: None) -> Any:
    """A researcher who can sign in with the password "correct horse"."""
    from studio.accounts.models import Role, User

    return User.objects.create_user("ada", password="correct horse", role=Role.RESEARCHER)


@pytest.fixture
def ada(client: Client, user: Any) -> Client:
    """A browser in which that researcher has signed in."""
    client.force_login(user)
    return client


def teacher_card() -> TeacherCard:
    """A plausible card of an 8×8 class-conditional teacher; no weights."""
    return TeacherCard(
        name="digits",
        title="Digits 8×8",
        description="For tests.",
        dataset="digits",
        licence="Apache-2.0",
        source="tests",
        parameters=193_000,
        sha256="0" * 64,
        config={"img_resolution": 8, "img_channels": 1, "label_dim": 10},
    )


@pytest.fixture
def teacher(db: None) -> Any:
    """A teacher in the catalogue under the reference that the digits preset names."""
    from studio.catalog.models import Teacher

    card = teacher_card()
    return Teacher.objects.create(
        reference=find_preset("digits-demo").spec.teacher, title=card.title, card=card.model_dump(mode="json")
    )


@pytest.fixture
def run(user: Any, teacher: Any, redis_server: None) -> Any:
    """A queued run of the digits preset."""
    from studio.runs.services import run_create

    return run_create(owner=user, name="first", preset="digits-demo", spec=find_preset("digits-demo").spec)
