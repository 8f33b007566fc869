from __future__ import annotations

import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from studio.accounts.models import AccessToken, AuditAction, AuditEntry, Role, Scope, User
from studio.accounts.tokens import token_create


def bearer(secret: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {secret}"})


def test_a_token_made_on_the_page_is_shown_once_and_works(ada: Client) -> None:
    page = ada.post("/api/", {"name": "cluster", "scope": "read", "days": 30}).content.decode()
    match = re.search(r'value="(sim_[\w-]+)"', page)
    assert match
    assert bearer(match[1]).get("/api/v1/me").json()["username"] == "ada"
    assert match[1] not in ada.get("/api/").content.decode()
    assert match[1] not in str(AccessToken.objects.values())
    assert AccessToken.objects.get().expires_at - timezone.now() > timedelta(days=29)


def test_a_token_that_is_revoked_or_expired_or_made_up_opens_nothing(ada: Client, user: Any) -> None:
    revoked, secret = token_create(user=user, name="a", scope=Scope.READ)
    ada.post(f"/api/tokens/{revoked.pk}/revoke/")
    expired, other = token_create(user=user, name="b", scope=Scope.READ)
    AccessToken.objects.filter(pk=expired.pk).update(expires_at=timezone.now())
    for dead in (secret, other, "sim_made-up", "\xff"):
        response = bearer(dead).get("/api/v1/me")
        assert response.status_code == 401
        assert response["WWW-Authenticate"].startswith("Bearer")
        assert response["Content-Type"] == "application/problem+json"
    assert Client(headers={"Authorization": "Basic YTpi"}).get("/api/v1/me").status_code == 401


def test_nobody_revokes_anothers_token(ada: Client) -> None:
    other = User.objects.create_user("olga", role=Role.RESEARCHER)
    token, secret = token_create(user=other, name="hers", scope=Scope.READ)
    assert ada.post(f"/api/tokens/{token.pk}/revoke/").status_code == 404
    assert ada.delete(f"/api/v1/me/tokens/{token.pk}").status_code == 404
    assert bearer(secret).get("/api/v1/me").status_code == 200


def test_the_last_use_is_noted_but_not_with_every_request(user: Any) -> None:
    token, secret = token_create(user=user, name="a", scope=Scope.READ)
    bearer(secret).get("/api/v1/me")
    token.refresh_from_db()
    first = token.last_used_at
    assert first is not None
    bearer(secret).get("/api/v1/me")
    token.refresh_from_db()
    assert token.last_used_at == first
    AccessToken.objects.update(last_used_at=first - timedelta(minutes=2))
    bearer(secret).get("/api/v1/me")
    token.refresh_from_db()
    assert token.last_used_at >= first


def test_a_token_makes_none_that_outlives_it(user: Any) -> None:
    mine, secret = token_create(user=user, name="short", scope=Scope.WRITE, days=2)
    body = {"name": "long", "scope": "read", "days": 366}
    answer = Client(headers={"Authorization": f"Bearer {secret}"}).post(
        "/api/v1/me/tokens", body, content_type="application/json"
    )
    assert answer.status_code == 201
    assert AccessToken.objects.get(name="long").expires_at == mine.expires_at


def test_a_token_makes_no_wider_one(user: Any) -> None:
    _, secret = token_create(user=user, name="a", scope=Scope.WRITE)
    body = {"name": "wider", "scope": "admin"}
    response = bearer(secret).post("/api/v1/me/tokens", body, content_type="application/json")
    assert response.status_code == 403
    assert "takes “admin”" in response.json()["detail"]
    narrow = bearer(secret).post("/api/v1/me/tokens", body | {"scope": "read"}, content_type="application/json")
    assert narrow.status_code == 201
    assert bearer(narrow.json()["token"]).get("/api/v1/me").status_code == 200


@pytest.mark.parametrize("given", [{"name": ""}, {"scope": "all"}, {"days": 0}, {"days": 367}, {"name": "x" * 101}])
def test_a_wrong_field_is_said_on_the_page(ada: Client, given: dict[str, Any]) -> None:
    response = ada.post("/api/", {"name": "n", "scope": "read", "days": 5} | given)
    assert response.status_code == 422
    assert 'class="errorlist"' in response.content.decode()
    assert not AccessToken.objects.exists()


# ---- from a shell


def test_a_token_made_from_a_shell_works_and_is_in_the_audit_log(user: Any, client: Client) -> None:
    said = StringIO()
    call_command("create_token", "ada", "--scope", "write", "--days", "30", stdout=said)
    token = AccessToken.objects.get()
    assert token.scope == "write"
    assert timedelta(days=29, hours=23) < token.expires_at - timezone.now() <= timedelta(days=30)
    headers = {"Authorization": f"Bearer {said.getvalue().strip()}"}
    assert client.get("/api/v1/me", headers=headers).json()["username"] == "ada"
    assert AuditEntry.objects.filter(action=AuditAction.TOKEN_CREATED, actor="ada").exists()


@pytest.mark.parametrize(
    ("given", "word"), [(["eve"], "eve"), (["ada", "--days", "0"], "between 1 and"), (["ada", "--name", ""], "--name")]
)
def test_a_token_is_not_made_for_nobody_or_for_ever(user: Any, given: list[str], word: str) -> None:
    with pytest.raises(CommandError, match=word):
        call_command("create_token", *given)
    assert not AccessToken.objects.exists()
