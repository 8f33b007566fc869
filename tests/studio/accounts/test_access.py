"""Every address of the studio is closed to strangers, whichever is added."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from studio.accounts.models import User
from studio.accounts.services import first_administrator_create

OPEN = {"/sign-in/"}
EXAMPLES = {
    "pk": "1",
    "upload_id": "00000000-0000-0000-0000-000000000001",
    "sample": "1",
    "checkpoint": "1",
    "action": "pause",
}


def addresses(patterns: Any, prefix: str = "/") -> Iterator[str]:
    """Every pattern of the project, with examples for its parameters."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, route)
        else:
            assert isinstance(pattern, URLPattern)
            yield re.sub(r"<(?:\w+:)?(\w+)>", lambda match: EXAMPLES[match[1]], route)


ADDRESSES = sorted(set(addresses(get_resolver().url_patterns)) - OPEN)


def test_the_walk_finds_the_addresses_known_today() -> None:
    assert {"/", "/password/", "/runs/", "/runs/new/", "/runs/1/log/", "/api/v1/runs/1/metrics"} <= set(ADDRESSES)


@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "head", "options"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_stranger_gets_nowhere(client: Client, run: Any, address: str, method: str) -> None:
    response = getattr(client, method)(address)
    if address == "/sign-out/" and method in ("get", "head", "options", "put", "delete"):
        assert response.status_code in (200, 405)  # signing out is a POST; OPTIONS lists that
        assert response.content == b""
    elif response.status_code == 302:
        assert response["Location"].split("?")[0] == "/sign-in/"
    else:
        assert response.status_code in (401, 403)
    run.job.refresh_from_db()
    assert run.job.state == "queued"


def test_somebody_who_was_deactivated_is_a_stranger(client: Client, user: Any, run: Any) -> None:
    client.force_login(user)
    assert client.get("/runs/").status_code == 200
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert client.get("/runs/").status_code == 302


def test_signing_in_leads_to_the_page_that_was_asked_for(client: Client, user: Any, run: Any) -> None:
    target = client.get(f"/runs/{run.pk}/")["Location"]
    assert target == f"/sign-in/?next=/runs/{run.pk}/"
    response = client.post(target, {"username": "ada", "password": "correct horse"})
    assert response["Location"] == f"/runs/{run.pk}/"
    assert client.get("/")["Location"] == "/runs/"
    assert client.get("/sign-in/")["Location"] == "/runs/"


def test_signing_in_never_leads_to_another_site(client: Client, user: Any) -> None:
    response = client.post("/sign-in/?next=https://evil.example/", {"username": "ada", "password": "correct horse"})
    assert response["Location"] == "/runs/"


def test_a_wrong_password_is_said_and_leads_nowhere(client: Client, user: Any) -> None:
    response = client.post("/sign-in/", {"username": "ada", "password": "wrong"})
    assert response.status_code == 200
    assert "Please enter a correct username and password" in response.content.decode()
    assert client.get("/runs/").status_code == 302


def test_signing_out_ends_the_session(client: Client, user: Any) -> None:
    client.force_login(user)
    assert client.post("/sign-out/")["Location"] == "/sign-in/"
    assert client.get("/runs/").status_code == 302


def test_the_first_administrator_gets_a_password_once(client: Client, db: None) -> None:
    password = first_administrator_create()
    assert password is not None
    assert len(password) >= 12
    assert first_administrator_create() is None
    assert client.login(username="admin", password=password)
    assert User.objects.get().has_initial_password


def test_where_somebody_exists_no_administrator_is_made(user: Any) -> None:
    assert first_administrator_create() is None
    assert User.objects.count() == 1


def test_a_new_password_takes_the_place_of_the_one_time_password(client: Client, db: None) -> None:
    password = first_administrator_create()
    client.login(username="admin", password=password)
    assert client.get("/password/").status_code == 200
    fields = {"old_password": password, "new_password1": "battery staple 9", "new_password2": "battery staple 9"}
    response = client.post("/password/", fields)
    assert response["Location"] == "/runs/"
    assert "Your password is changed." in client.get("/runs/").content.decode()
    assert not User.objects.get().has_initial_password
    assert Client().login(username="admin", password="battery staple 9")


@pytest.mark.parametrize("new", ["short", "password", "admin"])
def test_a_weak_password_is_refused(client: Client, db: None, new: str) -> None:
    password = first_administrator_create()
    client.login(username="admin", password=password)
    fields = {"old_password": password, "new_password1": new, "new_password2": new}
    assert client.post("/password/", fields).status_code == 200
    assert User.objects.get().has_initial_password
