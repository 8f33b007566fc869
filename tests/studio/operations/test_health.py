from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from studio.operations import health


@pytest.fixture(autouse=True)
def asked_afresh() -> Iterator[None]:
    for forget in (True, False):
        health._readiness = health.Readiness()
        health._redis_client.cache_clear()
        if forget:
            yield


def test_a_living_process_says_so_without_database_session_or_known_host(client: Client) -> None:
    response = client.get("/healthz", headers={"Host": "10.1.2.3"})
    assert (response.status_code, response.content) == (200, b"ok\n")
    assert response["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response


def test_a_studio_whose_parts_work_is_ready(client: Client, db: None, redis_server: None) -> None:
    response = client.get("/readyz", headers={"Host": "10.1.2.3"})
    assert response.status_code == 200
    ok = dict.fromkeys(("database", "migrations", "redis", "disk"), "ok")
    assert response.json() == {"status": "ready", "parts": ok}
    assert response["Cache-Control"] == "no-store"


def test_a_missing_migration_is_counted(client: Client, db: None, redis_server: None) -> None:
    MigrationRecorder(connection).record_unapplied("runs", "0001_initial")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"]["migrations"] == "1 are not applied"
    assert response.json()["parts"]["database"] == "ok"


def test_a_redis_that_is_away_is_named_without_its_address(client: Client, db: None, settings: Any) -> None:
    address = "redis://:secret@127.0.0.1:1/0"
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"redis_url": address})
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"]["redis"] == "fails"
    assert b"secret" not in response.content
    assert b"127.0.0.1" not in response.content


def test_a_folder_that_cannot_be_written_is_named(
    client: Client, db: None, redis_server: None, settings: Any, tmp_path: Path
) -> None:
    settings.DATA = tmp_path / "file"
    settings.DATA.write_text("")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"] == {"database": "ok", "migrations": "ok", "redis": "ok", "disk": "fails"}
    assert str(tmp_path).encode() not in response.content


def test_asking_often_does_not_ask_the_database_often(
    client: Client, db: None, redis_server: None, django_assert_max_num_queries: Any
) -> None:
    client.get("/readyz")
    with django_assert_max_num_queries(0):
        for _ in range(20):
            client.get("/readyz")


@pytest.mark.parametrize("address", ["/healthz", "/readyz"])
def test_health_can_only_be_read(client: Client, address: str) -> None:
    assert client.post(address).status_code == 405
    assert client.head("/healthz").content == b""
