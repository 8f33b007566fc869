from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from studio.accounts.models import AuditAction, AuditEntry
from studio.accounts.throttling import (
    MOST_FOR_ACCOUNT,
    MOST_FOR_ACCOUNT_AND_ADDRESS,
    MOST_FOR_ADDRESS,
    WINDOW,
    seconds_to_wait,
)


def attempt(client: Client, password: str = "wrong", name: str = "ada", address: str = "10.0.0.1") -> Any:
    return client.post("/sign-in/", {"username": name, "password": password}, REMOTE_ADDR=address)


def fail(times: int, *, name: str = "", address: str = "") -> None:
    """So many failures, each of another account or from another address where none is given."""
    AuditEntry.objects.bulk_create(
        AuditEntry(actor=name or f"n{i}", address=address or f"10.0.{i}.9", action=AuditAction.SIGN_IN_FAILED)
        for i in range(times)
    )


@pytest.mark.parametrize("name", ["ada", "nobody"])
def test_after_five_wrong_passwords_even_the_right_one_waits(client: Client, user: Any, name: str) -> None:
    for _ in range(MOST_FOR_ACCOUNT_AND_ADDRESS):
        assert attempt(client, name=name).status_code == 200
    response = attempt(client, "correct horse", name=name)
    assert response.status_code == 429
    assert "Too many wrong passwords. Try again in 15 min" in response.content.decode()
    assert AuditEntry.objects.filter(action=AuditAction.SIGN_IN_FAILED).count() == MOST_FOR_ACCOUNT_AND_ADDRESS


def test_the_owner_elsewhere_is_not_locked_out(client: Client, user: Any) -> None:
    fail(MOST_FOR_ACCOUNT_AND_ADDRESS, name="ada", address="10.0.0.1")
    assert attempt(client, "correct horse", address="10.0.0.2").status_code == 302


def test_after_the_window_it_may_be_tried_again(client: Client, user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(MOST_FOR_ACCOUNT_AND_ADDRESS, name="ada", address="10.0.0.1")
    assert 0 < seconds_to_wait("ada", "10.0.0.1") <= WINDOW.total_seconds()
    later = timezone.now() + WINDOW + timedelta(seconds=1)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert attempt(client, "correct horse").status_code == 302


def test_signing_in_forgets_the_mistakes_before(client: Client, user: Any) -> None:
    for _ in range(MOST_FOR_ACCOUNT_AND_ADDRESS - 1):
        attempt(client)
    attempt(client, "correct horse")
    client.logout()
    assert attempt(client).status_code == 200
    assert attempt(client, "correct horse").status_code == 302


def test_spelling_the_name_otherwise_does_not_help(db: None) -> None:
    fail(MOST_FOR_ACCOUNT_AND_ADDRESS, name="Ada", address="10.0.0.1")
    assert seconds_to_wait("aDA", "10.0.0.1")


def test_an_address_that_tries_many_accounts_waits(db: None) -> None:
    fail(MOST_FOR_ADDRESS, address="10.0.0.1")
    assert seconds_to_wait("ada", "10.0.0.1")
    assert not seconds_to_wait("ada", "10.0.0.2")


def test_an_account_that_is_tried_from_everywhere_waits(db: None) -> None:
    fail(MOST_FOR_ACCOUNT, name="ada")
    assert seconds_to_wait("ada", "10.99.0.1")
    assert not seconds_to_wait("bob", "10.99.0.1")
