from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from studio.celery import LIGHT_QUEUE, RUNS_QUEUE
from studio.jobs.lifecycle import JobState, UserAction
from studio.jobs.models import Job
from studio.jobs.services import LeaseLost, job_act, job_claim, job_end, job_interrupted, job_record, job_renew
from studio.runs.models import Metric
from tests.studio.builders import (
    announce,
    at_once,
    claim,
    expire,
    metrics,
    not_raised,
    record,
    sequence,
    started,
    token_of,
)


@pytest.fixture
def run_of(user: Any, teacher: Any, redis_server: None) -> Any:
    """Queue a run with a priority and an age."""
    from simcore.presets import find_preset
    from studio.runs.services import run_create

    def build(name: str = "run", *, priority: int = 0, minutes_old: int = 0) -> Job:
        run = run_create(owner=user, name=name, preset="digits-demo", spec=find_preset("digits-demo").spec)
        queued_at = timezone.now() - timedelta(minutes=minutes_old)
        Job.objects.filter(pk=run.pk).update(priority=priority, queued_at=queued_at)
        return Job.objects.get(pk=run.pk)

    return build


def test_the_highest_priority_is_claimed_first_then_the_oldest(run_of: Any) -> None:
    young = run_of(minutes_old=1)
    old = run_of(minutes_old=9)
    urgent = run_of(priority=5)
    patient = run_of(priority=-1, minutes_old=60)
    assert [claim().pk for _ in range(4)] == [urgent.pk, old.pk, young.pk, patient.pk]
    assert job_claim(queue=RUNS_QUEUE, worker="worker-1") is None


def test_a_queue_gives_only_its_own_jobs(run: Any) -> None:
    assert job_claim(queue=LIGHT_QUEUE, worker="worker-1") is None
    assert claim().pk == run.pk


def test_only_queued_jobs_are_claimed(run: Any) -> None:
    job_act(run.job, UserAction.PAUSE, actor="ada")
    assert job_claim(queue=RUNS_QUEUE, worker="worker-1") is None


def test_a_claim_raises_the_attempt_and_gives_a_lease_of_the_settings_length(run: Any) -> None:
    job = Job.objects.get(pk=claim("host:1").pk)
    assert (job.state, job.attempt, job.worker) == ("starting", 1, "host:1")
    assert job.lease_token is not None
    assert job.lease_expires_at is not None
    left = (job.lease_expires_at - timezone.now()).total_seconds()
    assert settings.LEASE_SECONDS - 5 < left <= settings.LEASE_SECONDS + 0.1


def test_the_start_is_that_of_the_first_attempt(run: Any) -> None:
    first = claim().started_at
    job_end(run.pk, token_of(Job.objects.get(pk=run.pk)), JobState.QUEUED)
    assert claim().started_at == first


def test_a_claim_clears_what_the_last_attempt_left_as_reason(run: Any) -> None:
    job_end(run.pk, token_of(claim()), JobState.QUEUED, reason="its worker was stopped")
    claim()
    assert Job.objects.get(pk=run.pk).reason == ""


@pytest.mark.django_db(transaction=True)
def test_workers_that_claim_at_once_never_get_the_same_job(run_of: Any) -> None:
    for number in range(6):
        run_of(str(number))

    def claim_all(worker: str) -> list[int]:
        announce(worker)
        mine = []
        while (job := job_claim(queue=RUNS_QUEUE, worker=worker)) is not None:
            mine.append(job.pk)
        return mine

    shares = not_raised(at_once(*(lambda worker=f"worker-{n}": claim_all(worker) for n in range(3))))
    claimed = [pk for share in shares for pk in share]
    # Under PostgreSQL a worker that meets a locked row goes home; the next ring brings it back.
    claimed += claim_all("late")
    assert sorted(claimed) == sorted(Job.objects.values_list("pk", flat=True))
    assert set(Job.objects.values_list("attempt", flat=True)) == {1}


@pytest.mark.parametrize(
    "write",
    [
        lambda pk, token: job_record(pk, token, [metrics(1)]),
        lambda pk, token: job_renew(pk, token),
        lambda pk, token: job_end(pk, token, JobState.FAILED, reason="late"),
        lambda pk, token: job_interrupted(pk, token, reason="late"),
    ],
    ids=["record", "renew", "end", "interrupted"],
)
def test_a_stale_lease_writes_nothing(run: Any, write: Any) -> None:
    stale = token_of(claim())
    job_end(run.pk, stale, JobState.QUEUED)
    record(claim("worker-2"), started())
    before = Job.objects.filter(pk=run.pk).values().get()
    for token in (stale, uuid.uuid4()):
        with pytest.raises(LeaseLost):
            write(run.pk, token)
    assert Job.objects.filter(pk=run.pk).values().get() == before
    assert sequence(run.job) == list(range(1, before["event_seq"] + 1))
    assert not Metric.objects.exists()


def test_renewing_prolongs_the_lease_and_says_what_people_ask(run: Any) -> None:
    job = claim()
    record(job, started())
    expire(job)
    assert job_renew(job.pk, token_of(job)) == ""
    renewed = Job.objects.get(pk=job.pk)
    assert renewed.lease_expires_at is not None
    assert renewed.lease_expires_at > timezone.now()
    job_act(job, UserAction.CANCEL, actor="ada")
    assert job_renew(job.pk, token_of(job)) == "cancel"


def test_recording_prolongs_the_lease(run: Any) -> None:
    job = claim()
    expire(job)
    record(job, started())
    assert Job.objects.filter(pk=job.pk, lease_expires_at__gt=timezone.now()).exists()


def test_an_end_stores_the_result_and_when(run: Any) -> None:
    job = claim()
    record(job, started())
    job_end(job.pk, token_of(job), JobState.SUCCEEDED, result={"student_frechet": 2.5})
    job.refresh_from_db()
    assert job.result == {"student_frechet": 2.5}
    assert job.finished_at is not None
