from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from studio.accounts.models import Role
from studio.jobs.services import jobs_reap
from tests.studio.builders import announce, claim, expire, metrics, record, started

TOKEN = "a token of some length"


@pytest.fixture
def token(settings: Any) -> dict[str, str]:
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"metrics_token": TOKEN})
    return {"Authorization": f"Bearer {TOKEN}"}


def figures(client: Client, token: dict[str, str]) -> dict[tuple[str, ...], float]:
    """Every sample: its name, then its labels' values in order."""
    response = client.get("/metrics", headers=token)
    assert response.status_code == 200
    families = text_string_to_metric_families(response.content.decode())
    return {(line.name, *line.labels.values()): line.value for family in families for line in family.samples}


def test_jobs_and_queues_are_counted_in_the_database(client: Client, run: Any, token: dict[str, str]) -> None:
    before = figures(client, token)
    assert before["simstudio_jobs", "distil", "queued"] == 1
    assert before["simstudio_jobs", "distil", "failed"] == 0
    assert before["simstudio_queue_oldest_seconds", "runs"] > 0
    assert before["simstudio_queue_oldest_seconds", "light"] == 0
    job = claim()
    record(job, started(), metrics(1))
    held = figures(client, token)
    assert held["simstudio_workers_busy",] == 1
    assert held["simstudio_queue_oldest_seconds", "runs"] == 0
    job.refresh_from_db()
    assert held["simstudio_events_stored_total",] == job.event_seq
    expire(job)
    assert figures(client, token)["simstudio_leases_expired",] == 1
    jobs_reap()
    after = figures(client, token)
    assert (after["simstudio_lease_reaps_total",], after["simstudio_leases_expired",]) == (1, 0)


def test_workers_are_counted_by_their_heartbeats(client: Client, db: None, token: dict[str, str]) -> None:
    announce("here")
    silent = announce("silent")
    silent.heartbeat_at -= timedelta(seconds=90)
    silent.save()
    told = figures(client, token)
    counts = {state: told["simstudio_workers", state] for state in ("active", "draining", "lost")}
    assert counts == {"active": 1, "draining": 0, "lost": 1}
    assert told["simstudio_worker_heartbeat_age_seconds", "here"] < 30
    assert told["simstudio_worker_heartbeat_age_seconds", "silent"] == pytest.approx(90, abs=30)


def test_requests_are_measured_by_route(ada: Client, run: Any, token: dict[str, str]) -> None:
    key = ("simstudio_http_requests_total", "GET", "/runs/<id:pk>/", "404")
    before = figures(ada, token).get(key, 0)
    for number in (4711, 4712):
        ada.get(f"/runs/{number}/")
    after = figures(ada, token)
    assert after[key] == before + 2
    assert after["simstudio_http_request_duration_seconds_count", "GET", "/runs/<id:pk>/"] >= 2
    assert not [name for name in after if "4711" in str(name)]


def test_words_that_are_no_methods_make_no_series(client: Client, db: None, token: dict[str, str]) -> None:
    for number in range(5):
        client.generic(f"WORD{number}", f"/nowhere-{number}/")
    names = [str(name) for name in figures(client, token)]
    assert not [name for name in names if "WORD" in name or "nowhere" in name]
    assert [name for name in names if "'other'" in name]


def test_names_follow_prometheus_and_each_has_a_help_text(client: Client, run: Any, token: dict[str, str]) -> None:
    text = client.get("/metrics", headers=token).content.decode()
    names = re.findall(r"^# TYPE (\S+)", text, re.M)
    assert len([name for name in names if name.startswith("simstudio_")]) >= 10
    for name in names:
        assert re.search(rf"^# HELP {name} \S.*$", text, re.M), name


@pytest.mark.parametrize(
    "authorization", ["", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"]
)
def test_without_the_token_strangers_read_nothing(client: Client, db: None, token: Any, authorization: str) -> None:
    response = client.get("/metrics", headers={"Authorization": authorization})
    assert response.status_code == 401
    assert b"simstudio_jobs" not in response.content


def test_an_empty_token_opens_nothing(client: Client, db: None) -> None:
    for authorization in ("Bearer ", "Bearer", ""):
        assert client.get("/metrics", headers={"Authorization": authorization}).status_code == 401


def test_administrators_read_and_others_do_not(ada: Client, user: Any) -> None:
    assert ada.get("/metrics").status_code == 403
    user.role = Role.ADMINISTRATOR
    user.save()
    assert ada.get("/metrics").status_code == 200
    assert ada.post("/metrics").status_code == 405


def test_the_cost_does_not_grow_with_jobs(
    client: Client, run: Any, token: dict[str, str], django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(7):
        client.get("/metrics", headers=token)
