"""Signing in and out, and one's own password."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from studio.accounts.models import User
from studio.accounts.services import first_administrator_create


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
