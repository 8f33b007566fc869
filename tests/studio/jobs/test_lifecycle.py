from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from studio.jobs.lifecycle import ENDED_STATES, HELD_STATES, MOVES, IllegalMove, JobState, UserAction, check_move
from studio.jobs.models import Job, JobEvent
from studio.jobs.services import actions_of, job_act, job_end
from tests.studio.builders import bring_to, moves, sequence, token_of

LEGAL = {
    "queued": "starting paused cancelled",
    "starting": "running pausing queued failed cancelled",
    "running": "pausing succeeded failed cancelled queued",
    "pausing": "paused succeeded failed cancelled queued",
    "paused": "queued cancelled",
    "failed": "queued",
    "cancelled": "queued",
    "succeeded": "",
}
OFFERED = {
    "queued": "pause cancel",
    "starting": "pause cancel",
    "running": "pause checkpoint cancel",
    "pausing": "cancel",
    "paused": "resume cancel",
    "failed": "retry",
    "cancelled": "retry",
    "succeeded": "",
}
STATES = [state.value for state in JobState]


@pytest.mark.parametrize("to_state", STATES)
@pytest.mark.parametrize("from_state", STATES)
def test_a_move_is_allowed_exactly_where_the_table_says_so(from_state: str, to_state: str) -> None:
    if to_state in LEGAL[from_state].split():
        check_move(from_state, to_state)
    else:
        with pytest.raises(IllegalMove, match=f"a job that is {from_state} cannot become {to_state}"):
            check_move(from_state, to_state)


def test_every_state_stands_in_the_table() -> None:
    assert {state.value for state in MOVES} == set(STATES) == set(LEGAL)
    assert not set(HELD_STATES) & set(ENDED_STATES)


@pytest.mark.parametrize("to_state", [state for state in STATES if state not in HELD_STATES])
@pytest.mark.parametrize("from_state", [state.value for state in HELD_STATES])
def test_a_worker_ends_its_job_only_in_an_allowed_state(run: Any, from_state: str, to_state: str) -> None:
    job = bring_to(run, JobState(from_state))
    before = moves(job)
    if to_state in LEGAL[from_state].split():
        job_end(job.pk, token_of(job), JobState(to_state))
        job.refresh_from_db()
        assert (job.state, job.lease_token, job.lease_expires_at) == (to_state, None, None)
        assert moves(job) == [*before, (from_state, to_state)]
    else:
        with pytest.raises(IllegalMove):
            job_end(job.pk, token_of(job), JobState(to_state))
        job.refresh_from_db()
        assert (job.state, moves(job)) == (from_state, before)
        assert sequence(job) == list(range(1, job.event_seq + 1))


@pytest.mark.parametrize("action", list(UserAction))
@pytest.mark.parametrize("state", STATES)
def test_people_can_do_what_the_state_offers_and_nothing_else(run: Any, state: str, action: UserAction) -> None:
    job = bring_to(run, JobState(state))
    assert [offer["name"] for offer in actions_of(job)] == OFFERED[state].split()
    before, seq = moves(job), job.event_seq
    if action in OFFERED[state].split():
        job_act(job, action, actor="ada")
        job.refresh_from_db()
        assert job.event_seq == seq + 1
    else:
        with pytest.raises(IllegalMove):
            job_act(job, action, actor="ada")
        job.refresh_from_db()
        assert (job.state, moves(job), job.event_seq) == (state, before, seq)


@pytest.mark.parametrize("state", STATES)
def test_each_move_leaves_one_audit_row_and_one_state_event(run: Any, state: str) -> None:
    job = bring_to(run, JobState(state))
    created, *later = moves(job)
    assert created == ("", "queued")
    payloads = [event.payload for event in job.events.filter(type="state").order_by("seq")]
    assert [(payload["from"], payload["to"]) for payload in payloads] == later
    assert all(payload["actor"] for payload in payloads)
    assert (later[-1][1] if later else "queued") == state == Job.objects.get(pk=job.pk).state


@pytest.mark.parametrize("state", STATES)
def test_the_database_itself_keeps_leases_to_held_jobs(run: Any, state: str) -> None:
    job = bring_to(run, JobState(state))
    if state in HELD_STATES:
        wrong: list[dict[str, Any]] = [{"lease_token": None}, {"lease_expires_at": None}]
    else:
        wrong = [{"lease_token": uuid.uuid4()}, {"lease_expires_at": timezone.now()}]
    for values in wrong:
        with pytest.raises(IntegrityError, match="job_lease_exactly_while_held"), transaction.atomic():
            Job.objects.filter(pk=job.pk).update(**values)


def test_the_database_itself_keeps_event_numbers_apart(run: Any) -> None:
    job = bring_to(run, JobState.RUNNING)
    with pytest.raises(IntegrityError), transaction.atomic():
        JobEvent.objects.create(job=job, seq=1, attempt=1, type="log", payload={}, at=timezone.now())
