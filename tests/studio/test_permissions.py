"""Every address, every method, every kind of person: exactly what `permission_table` says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from studio.accounts.models import Role, Scope, User
from studio.accounts.services import invitation_create
from studio.accounts.tokens import token_create
from studio.catalog.imports import ImportFacts, import_create
from studio.catalog.models import Teacher
from studio.catalog.uploads import upload_create
from studio.jobs.lifecycle import JobState
from studio.pool.models import Worker
from studio.runs.models import Checkpoint, RunGroup, SampleGrid
from studio.study.models import Image, Vote
from tests.studio.builders import bring_to, checkpoint, record, samples
from tests.studio.catalog.conftest import images_zip, some_dataset, uploaded
from tests.studio.permission_table import TABLE
from tests.studio.study.builders import participate, study_with

METHODS = ("get", "post", "put", "patch", "delete")
WHO = ("stranger", "viewer", "researcher", "owner", "administrator")
MAY = {
    "anyone": set(WHO),
    "viewer": set(WHO) - {"stranger"},
    "researcher": {"researcher", "owner", "administrator"},
    "owner": {"owner", "administrator"},
    "administrator": {"administrator"},
}


def routes(patterns: Any, prefix: str = "") -> Iterator[str]:
    """Every pattern of the project, as written."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            assert isinstance(pattern, URLPattern)
            yield route


def test_every_address_has_a_row_and_every_row_an_address() -> None:
    assert set(routes(get_resolver().url_patterns)) == set(TABLE)


@pytest.fixture
def world(user: Any, run: Any, teacher: Any, django_user_model: Any, tmp_path: Path) -> dict[str, Any]:
    """One of everything that an address can name, and one person of each kind; the owner's where it has one."""
    people = {
        "viewer": django_user_model.objects.create_user("vic", role=Role.VIEWER),
        "researcher": django_user_model.objects.create_user("rosa", role=Role.RESEARCHER),
        "owner": user,
        "administrator": django_user_model.objects.create_user("adam", role=Role.ADMINISTRATOR),
    }
    other = django_user_model.objects.create_user("olga", role=Role.RESEARCHER)
    job = bring_to(run, JobState.RUNNING)
    record(job, samples(50), checkpoint(50))
    invitation, _ = invitation_create(role=Role.VIEWER, actor=people["administrator"])
    Teacher.objects.filter(pk=teacher.pk).update(owner=user)
    archive = uploaded(user, images_zip(tmp_path))
    now = timezone.now()
    study = study_with(user, prompts=1)
    participant = participate(study, "0")
    ids = {
        "studies": study.pk,
        "number": participant.number,
        "participant": participant.number,
        "vote": Vote.objects.get().pk,
        "link": study.links.get().pk,
        "image": Image.objects.earliest("pk").pk,
        "datasets": some_dataset(user).pk,
        "imports": import_create(owner=user, upload=archive, facts=ImportFacts()).pk,
        "upload": upload_create(owner=user, name="half.zip", size=1_000).pk,
        "runs": run.pk,
        "people": other.pk,
        "teachers": teacher.pk,
        "groups": RunGroup.objects.create(name="sweep", kind=RunGroup.Kind.SWEEP, owner=user).pk,
        "workers": Worker.objects.create(name="w1", queues="runs", started_at=now, heartbeat_at=now).pk,
        "queue": job.pk,
        "invitations": invitation.pk,
        "tokens": token_create(user=other, name="hers", scope=Scope.READ)[0].pk,
        "sample": SampleGrid.objects.get().pk,
        "checkpoint": Checkpoint.objects.get().pk,
    }
    return {"people": people, "ids": ids}


def address(route: str, ids: dict[str, Any]) -> str:
    """The route with what it names filled in."""

    def value(match: re.Match[str]) -> str:
        name, before = match[1], route[: match.start()].rstrip("/").rsplit("/", 1)[-1]
        words = {"action": "pause", "direction": "up", "secret": "unknown", "token": "unknown", "key": str(uuid4())}
        words["arm"] = "A"
        return words.get(name) or str(ids[before] if name == "pk" else ids[name.removesuffix("_id")])

    return "/" + re.sub(r"<\w+:(\w+)>", value, route)


def outcome(response: Any) -> str:
    if response.status_code == 405:
        return "not served"
    to_sign_in = response.status_code == 302 and response["Location"].startswith("/sign-in/?next=")
    return "refused" if to_sign_in or response.status_code in (401, 403) else "let in"


@contextmanager
def undone() -> Iterator[None]:
    """What is done inside is taken back: the same world serves every address."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.mark.parametrize("who", WHO)
def test_every_address_lets_in_whom_the_table_says(world: dict[str, Any], who: str) -> None:
    wrong = []
    for route in TABLE:
        with undone():
            client = Client()
            if person := world["people"].get(who):
                client.force_login(person)
            wrong += [f"{method} /{route}: {why}" for method, why in surprises(client, world, route, who)]
    assert not wrong


def surprises(client: Client, world: dict[str, Any], route: str, who: str) -> Iterator[tuple[str, str]]:
    """The methods that answer otherwise than the table says."""
    for method in METHODS:
        needed = TABLE[route].get(method)
        response = client.generic(method.upper(), address(route, world["ids"]))
        # Whether the person or the method is checked first does not matter where neither is right.
        expected = {"not served", "refused"} if needed is None else {"let in"} if who in MAY[needed] else {"refused"}
        if outcome(response) not in expected or response.status_code >= 500:
            yield method, f"{response.status_code}, expected {' or '.join(sorted(expected))}"


@pytest.mark.parametrize("scope", Scope)
def test_an_administrators_token_does_no_more_than_its_scope(world: dict[str, Any], scope: Scope) -> None:
    _, secret = token_create(user=world["people"]["administrator"], name="script", scope=scope)
    client, order, wrong = Client(headers={"Authorization": f"Bearer {secret}"}), list(Scope), []
    for route in [route for route in TABLE if route.startswith("api/v1/")]:
        for method, needed in TABLE[route].items():
            least = Scope.ADMIN if needed == "administrator" else Scope.READ if method == "get" else Scope.WRITE
            expected = "let in" if order.index(scope) >= order.index(least) else "refused"
            with undone():
                response = client.generic(method.upper(), address(route, world["ids"]))
            if outcome(response) != expected:
                wrong.append(f"{method} /{route}: {response.status_code}, expected {expected}")
    assert not wrong


def test_a_token_opens_no_page(world: dict[str, Any]) -> None:
    _, secret = token_create(user=world["people"]["administrator"], name="script", scope=Scope.ADMIN)
    opened = []
    for route in [route for route in TABLE if not route.startswith("api/v1/")]:
        for method, needed in TABLE[route].items():
            client = Client(headers={"Authorization": f"Bearer {secret}"})
            with undone():
                response = client.generic(method.upper(), address(route, world["ids"]))
            if needed != "anyone" and outcome(response) != "refused":
                opened.append(f"{method} /{route}: {response.status_code}")
    assert not opened


def test_somebody_who_was_deactivated_is_a_stranger(client: Client, world: dict[str, Any]) -> None:
    owner = world["people"]["owner"]
    _, secret = token_create(user=owner, name="script", scope=Scope.WRITE)
    client.force_login(owner)
    with_token = {"Authorization": f"Bearer {secret}"}
    assert client.get("/runs/").status_code == Client(headers=with_token).get("/api/v1/me").status_code == 200
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert client.get("/runs/").status_code == 302
    assert client.get("/api/v1/me").status_code == Client(headers=with_token).get("/api/v1/me").status_code == 401
