from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings

from studio.jobs.lifecycle import JobState, UserAction
from studio.jobs.models import Job
from studio.jobs.services import LeaseLost, job_act, job_interrupted, job_renew, jobs_reap
from tests.studio.builders import (
    at_once,
    bring_to,
    checkpoint,
    claim,
    expire,
    moves,
    not_raised,
    record,
    started,
    token_of,
)


def lose(run: Any, *said: Any) -> Job:
    """One attempt whose worker dies after its trainer has said that."""
    job = claim()
    record(job, started(), *said)
    expire(job)
    assert jobs_reap() == 1
    return Job.objects.get(pk=run.pk)


@pytest.mark.parametrize("state", [JobState.STARTING, JobState.RUNNING])
def test_a_lost_job_is_queued_again_for_the_next_attempt(run: Any, state: JobState) -> None:
    job = bring_to(run, state)
    expire(job)
    assert jobs_reap() == 1
    job.refresh_from_db()
    assert (job.state, job.attempt, job.interruptions, job.lease_token) == ("queued", 1, 1, None)
    move = job.transitions.last()
    assert move is not None
    assert (move.actor, move.reason) == ("reaper", "worker worker-1 was lost")
    assert claim().attempt == 2


@pytest.mark.parametrize("state", [JobState.STARTING, JobState.RUNNING, JobState.PAUSING])
def test_a_job_whose_lease_lives_is_left_alone(run: Any, state: JobState) -> None:
    job = bring_to(run, state)
    before = moves(job)
    assert jobs_reap() == 0
    job.refresh_from_db()
    assert (job.state, moves(job)) == (state, before)


def test_a_lost_job_that_was_to_pause_is_paused(run: Any) -> None:
    expire(bring_to(run, JobState.PAUSING))
    assert jobs_reap() == 1
    assert Job.objects.get(pk=run.pk).state == "paused"


@pytest.mark.parametrize("state", [JobState.STARTING, JobState.RUNNING, JobState.PAUSING])
def test_a_lost_job_that_was_to_be_cancelled_is_cancelled(run: Any, state: JobState) -> None:
    job = bring_to(run, state)
    job_act(job, UserAction.CANCEL, actor="ada")
    expire(job)
    assert jobs_reap() == 1
    job.refresh_from_db()
    assert (job.state, job.requested_action) == ("cancelled", "")


def test_too_many_losses_without_a_checkpoint_fail_the_job(run: Any) -> None:
    for attempt in range(1, settings.MAX_INTERRUPTIONS):
        job = lose(run)
        assert (job.state, job.attempt) == ("queued", attempt)
    job = lose(run)
    assert job.state == "failed"
    assert f"given up after {settings.MAX_INTERRUPTIONS} interruptions without a new checkpoint" in job.reason


def test_a_checkpoint_resets_the_count_of_losses(run: Any) -> None:
    for _ in range(settings.MAX_INTERRUPTIONS - 1):
        lose(run)
    assert lose(run, checkpoint(250)).interruptions == 1
    for _ in range(settings.MAX_INTERRUPTIONS - 2):
        assert lose(run).state == "queued"
    assert lose(run).state == "failed"


def test_a_retry_starts_the_count_of_losses_anew(run: Any) -> None:
    for _ in range(settings.MAX_INTERRUPTIONS):
        job = lose(run)
    job_act(job, UserAction.RETRY, actor="ada")
    job.refresh_from_db()
    assert (job.state, job.interruptions, job.reason) == ("queued", 0, "")


def test_a_trainer_that_died_counts_as_a_loss(run: Any) -> None:
    job = claim()
    job_interrupted(job.pk, token_of(job), reason="the trainer was killed by SIGKILL")
    job.refresh_from_db()
    assert (job.state, job.interruptions) == ("queued", 1)
    move = job.transitions.last()
    assert move is not None
    assert (move.actor, move.reason) == ("worker-1", "the trainer was killed by SIGKILL")


def test_the_worker_that_was_thought_lost_finds_its_lease_gone(run: Any) -> None:
    job = claim()
    expire(job)
    jobs_reap()
    with pytest.raises(LeaseLost):
        job_renew(job.pk, token_of(job))


@pytest.mark.django_db(transaction=True)
def test_two_reapers_at_once_reap_a_job_once(run: Any) -> None:
    expire(bring_to(run, JobState.RUNNING))
    assert sum(not_raised(at_once(jobs_reap, jobs_reap, jobs_reap))) == 1
    job = Job.objects.get(pk=run.pk)
    assert (job.state, job.interruptions) == ("queued", 1)
    assert moves(job)[-1] == ("running", "queued")
    assert len(moves(job)) == 4
