"""Workers and the queue, by script."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from studio.accounts.models import Role, User
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.pool.models import Worker
from studio.runs.models import Run
from studio.runs.services import run_create_from_preset
from tests.studio.api.test_runs import JSON, errors
from tests.studio.builders import announce, bring_to, cuda

WORKERS, QUEUE = "/api/v1/workers", "/api/v1/queue"


@pytest.fixture
def administrator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("adam", role=Role.ADMINISTRATOR))
    return client


def test_workers_tell_their_devices_and_what_they_run(ada: Client, run: Any) -> None:
    bring_to(run, JobState.RUNNING)
    announce("gpus", cuda("GPU-1"))
    Worker.objects.filter(name="gpus").update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    idle, busy = ada.get(WORKERS).json()["results"]
    assert (idle["name"], idle["state"], busy["state"]) == ("gpus", "lost", "active")
    assert (idle["devices"][0]["uuid"], idle["devices"][0]["memory"]) == ("GPU-1", 80 * 2**30)
    assert [(job["id"], job["name"], job["state"]) for job in busy["jobs"]] == [(run.pk, "first", "running")]
    assert [device["job"] for device in busy["devices"]].count(run.pk) == 1
    assert ada.get(f"{WORKERS}/{busy['id']}").json()["queues"] == ["runs"]
    assert ada.get(f"{WORKERS}/4711").status_code == 404


def test_administrators_drain_workers_and_it_is_told_who_did(
    ada: Client, administrator: Client, redis_server: None
) -> None:
    where = f"{WORKERS}/{announce('w').pk}"
    assert ada.post(f"{where}/drain").status_code == 403
    assert administrator.post(f"{where}/drain").json()["state"] == "draining"
    assert administrator.post(f"{where}/undrain").json()["state"] == "active"
    assert administrator.post(f"{WORKERS}/4711/drain").status_code == 404
    changes = ada.get(f"{WORKERS}/changes").json()["results"]
    assert [(change["worker"], change["change"], change["actor"]) for change in changes] == [
        ("w", "undrain", "adam"),
        ("w", "drain", "adam"),
    ]


def test_the_queue_is_told_in_order_and_reordered(ada: Client, administrator: Client, user: Any, run: Any) -> None:
    second = run_create_from_preset(owner=user, name="second", preset="digits-demo", settings={})

    def order() -> list[str]:
        return [row["name"] for row in ada.get(QUEUE).json()["results"]]

    assert order() == ["first", "second"]
    assert "no worker" in ada.get(QUEUE).json()["results"][0]["reason"]
    assert ada.post(f"{QUEUE}/{second.pk}/moves/first").status_code == 403
    assert administrator.post(f"{QUEUE}/{second.pk}/moves/first").json()["id"] == second.pk
    assert order() == ["second", "first"]
    assert administrator.post(f"{QUEUE}/{second.pk}/moves/sideways").status_code == 404
    assert administrator.post(f"{QUEUE}/4711/moves/up").status_code == 404

    def priority(client: Client, value: Any) -> Any:
        return client.patch(f"{QUEUE}/{second.pk}", {"priority": value}, content_type=JSON)

    assert priority(ada, -1).json()["priority"] == -1
    assert order() == ["first", "second"]
    assert priority(ada, 1).status_code == 403
    assert priority(administrator, 1).json()["priority"] == 1
    assert list(errors(priority(ada, "high"))) == ["priority"]
    bring_to(run, JobState.PAUSED)
    Job.objects.filter(pk=second.pk).update(state=JobState.PAUSED)
    for refused in (priority(administrator, 2), administrator.post(f"{QUEUE}/{run.pk}/moves/up")):
        assert refused.status_code == 409
        assert "Only jobs that wait" in refused.json()["detail"]


def test_the_queue_takes_as_many_queries_for_a_thousand_jobs_as_for_ten(ada: Client, run: Run) -> None:
    job = run.job
    like = {"kind": job.kind, "queue": job.queue, "owner": job.owner, "spec": job.spec, "queued_at": job.queued_at}

    def fill(number: int) -> None:
        jobs = Job.objects.bulk_create(Job(**like) for _ in range(number))
        Run.objects.bulk_create(Run(job=each, name="n", preset="digits-demo", teacher=run.teacher) for each in jobs)
        Job.objects.bulk_create(Job(**like | {"kind": "import-dataset"}) for _ in range(5))

    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert ada.get(QUEUE, {"page_size": 200}).status_code == 200
        return len(context)

    announce("w")
    fill(10)
    assert {row["name"] for row in ada.get(QUEUE).json()["results"]} == {"first", "n", ""}
    few = queries()
    fill(990)
    assert queries() == few <= 9
