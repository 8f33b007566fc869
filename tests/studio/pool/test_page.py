"""The page of workers and of the queue."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from simcore.presets import find_preset
from studio.accounts.models import Role, User
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.pool.models import Worker, WorkerChange
from studio.runs.models import Run
from studio.runs.services import run_create
from tests.studio.builders import announce, bring_to, cpu, cuda


@pytest.fixture
def admin(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("root", role=Role.ADMINISTRATOR))
    return client


def page(client: Client) -> str:
    return " ".join(client.get("/workers/").content.decode().split())


def test_without_workers_the_page_says_how_they_come(ada: Client) -> None:
    shown = page(ada)
    assert "No worker is here" in shown
    assert "Nothing waits." in shown


def test_a_worker_shows_its_devices_and_what_it_runs(ada: Client, run: Run) -> None:
    announce("worker-1", cuda("GPU-a", 80), cpu("cpu:worker-1", 64))
    bring_to(run, JobState.RUNNING)
    shown = page(ada)
    for text in ("worker-1", "GPU-a", "80 GiB", "64 GiB", "first", "running, attempt 1"):
        assert text in shown
    assert "Drain" not in shown, "that is for administrators"


def test_the_queue_shows_why_each_job_waits(ada: Client, run: Run) -> None:
    shown = page(ada)
    assert "waits: no worker serves the queue “runs”" in shown
    assert "First" not in shown
    assert f'id="lower-{run.pk}"' in shown, "owners may let others go first"


def test_the_run_s_own_page_and_the_list_say_why_it_waits(ada: Client, run: Run) -> None:
    for address in ("/runs/", f"/runs/{run.pk}/"):
        assert "waits: no worker serves the queue “runs”" in ada.get(address).content.decode()


def test_an_administrator_drains_and_undrains_and_it_is_kept(admin: Client, redis_server: None) -> None:
    worker = announce("worker-1")
    for change in ("drain", "undrain"):
        assert admin.post(f"/workers/{worker.pk}/{change}/").status_code == 302
        worker.refresh_from_db()
        assert worker.draining == (change == "drain")
        assert f"<strong>{change}</strong> worker-1" in page(admin)
    assert list(WorkerChange.objects.values_list("change", "actor")) == [("undrain", "root"), ("drain", "root")]


def test_an_administrator_orders_the_queue(admin: Client, user: Any, run: Run) -> None:
    other = run_create(owner=user, name="second", preset="digits-demo", spec=find_preset("digits-demo").spec)
    admin.post(f"/workers/queue/{other.pk}/first/")
    shown = page(admin)
    assert shown.index(f"queued-{other.pk}") < shown.index(f"queued-{run.pk}")
    admin.post(f"/workers/queue/{run.pk}/priority/", {"priority": "1"})
    shown = page(admin)
    assert shown.index(f"queued-{run.pk}") < shown.index(f"queued-{other.pk}")


@pytest.mark.parametrize("priority", ["", "high", "1.5", "1000", "9" * 30])
def test_a_priority_that_cannot_be_is_said_and_changes_nothing(admin: Client, run: Run, priority: str) -> None:
    admin.post(f"/workers/queue/{run.pk}/priority/", {"priority": priority})
    assert "A priority" in page(admin)
    assert Job.objects.get(pk=run.pk).priority == 0


def test_a_job_that_was_taken_meanwhile_is_said(admin: Client, run: Run) -> None:
    bring_to(run, JobState.RUNNING)
    admin.post(f"/workers/queue/{run.pk}/first/")
    assert "Only jobs that wait have a place in the queue; this one is running." in page(admin)


def test_owners_may_only_lower_their_own_priority(ada: Client, run: Run) -> None:
    assert ada.post(f"/workers/queue/{run.pk}/priority/", {"priority": "-3"}).status_code == 302
    assert Job.objects.get(pk=run.pk).priority == -3
    assert ada.post(f"/workers/queue/{run.pk}/priority/", {"priority": "-2"}).status_code == 403
    stranger = Client()
    stranger.force_login(User.objects.create_user("eve", role=Role.RESEARCHER))
    assert stranger.post(f"/workers/queue/{run.pk}/priority/", {"priority": "-9"}).status_code == 403
    assert Job.objects.get(pk=run.pk).priority == -3


@pytest.mark.parametrize(
    "address", ["/workers/{worker}/drain/", "/workers/{worker}/undrain/", "/workers/queue/{run}/up/"]
)
def test_workers_and_the_order_are_the_administrators(ada: Client, run: Run, address: str) -> None:
    worker = announce("worker-1")
    assert ada.post(address.format(worker=worker.pk, run=run.pk)).status_code == 403
    assert not Worker.objects.get().draining


@pytest.mark.parametrize(
    "address", ["/workers/4711/drain/", "/workers/queue/4711/up/", "/workers/queue/{run}/sideways/"]
)
def test_what_does_not_exist_is_not_found(admin: Client, run: Run, address: str) -> None:
    assert admin.post(address.format(run=run.pk)).status_code == 404


def test_the_page_needs_as_many_queries_for_many_rows_as_for_few(ada: Client, user: Any, run: Run) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            page(ada)
        return len(captured)

    announce("worker-0")
    page(ada)
    few = queries()
    job = Job.objects.get(pk=run.pk)
    copies = []
    for _ in range(1_000):
        job.pk, job._state.adding = None, True
        copies.append(Job(**{f.attname: getattr(job, f.attname) for f in Job._meta.concrete_fields if f.name != "id"}))
    made = Job.objects.bulk_create(copies)
    Run.objects.bulk_create([Run(job=job, name="copy", preset="", teacher=run.teacher) for job in made])
    for number in range(1, 30):
        announce(f"worker-{number}")
    assert queries() == few
    assert "The first 200 of 1,001." in page(ada)
