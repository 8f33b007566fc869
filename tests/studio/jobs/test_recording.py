from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import IntegrityError

from simcore.events import Failed
from studio.jobs.lifecycle import JobState, UserAction
from studio.jobs.models import Job
from studio.jobs.selectors import event_seq, events_after
from studio.jobs.services import job_act, job_renew
from studio.runs.models import Checkpoint, Metric
from tests.studio.builders import (
    at_once,
    bring_to,
    checkpoint,
    claim,
    log,
    metrics,
    not_raised,
    record,
    sequence,
    started,
    token_of,
)


def test_events_are_numbered_from_one_and_read_back_in_order(run: Any) -> None:
    job = bring_to(run, JobState.RUNNING)
    record(job, log("a"), metrics(1), log("b"))
    record(job, metrics(2))
    job.refresh_from_db()
    assert sequence(job) == list(range(1, job.event_seq + 1))
    assert event_seq(job.pk) == job.event_seq
    messages = events_after(job.pk, job.event_seq - 4, 500)
    assert [message["type"] for message in messages] == ["log", "metrics", "log", "metrics"]
    assert [message["message"] for message in messages if message["type"] == "log"] == ["a", "b"]
    assert events_after(job.pk, 0, 2) == events_after(job.pk, 0, 500)[:2]
    assert {message["attempt"] for message in messages} == {1}


def test_nothing_is_known_of_a_job_that_does_not_exist(db: None) -> None:
    assert event_seq(4711) is None
    assert events_after(4711, 0, 10) == []


@pytest.mark.django_db(transaction=True)
def test_numbers_have_no_gap_when_people_and_worker_write_at_once(run: Any) -> None:
    job = bring_to(run, JobState.RUNNING)
    done = threading.Event()

    def train() -> None:
        for step in range(1, 16):
            record(job, metrics(step), log(str(step)))
        done.set()

    def ask() -> None:
        while not done.is_set():
            job_act(job, UserAction.CHECKPOINT, actor="ada")

    def renew() -> None:
        while not done.is_set():
            job_renew(job.pk, token_of(job))

    not_raised(at_once(train, ask, renew))
    job.refresh_from_db()
    assert sequence(job) == list(range(1, job.event_seq + 1))
    assert list(Metric.objects.order_by("step").values_list("step", flat=True)) == list(range(1, 16))


def test_the_first_word_of_the_trainer_makes_the_job_running(run: Any) -> None:
    job = claim()
    record(job, started(step=250, device="cuda"))
    job.refresh_from_db()
    assert (job.state, job.step, job.device) == ("running", 250, "cuda")


def test_a_job_that_is_to_pause_stays_so_when_its_trainer_starts(run: Any) -> None:
    job = claim()
    job_act(job, UserAction.PAUSE, actor="ada")
    assert record(job, started()) == "pause"
    assert Job.objects.get(pk=job.pk).state == "pausing"


def test_the_step_follows_the_metrics(run: Any) -> None:
    job = bring_to(run, JobState.RUNNING)
    record(job, metrics(1), metrics(2))
    assert Job.objects.get(pk=job.pk).step == 2


def test_recording_says_what_people_ask_until_it_is_done(run: Any) -> None:
    job = bring_to(run, JobState.RUNNING)
    job_act(job, UserAction.CHECKPOINT, actor="ada")
    assert record(job, metrics(1)) == "checkpoint"
    assert record(job, checkpoint(1)) == ""
    job_act(job, UserAction.PAUSE, actor="ada")
    assert record(job, checkpoint(2)) == "pause"


def test_a_point_that_comes_twice_is_refused_with_everything_beside_it(run: Any) -> None:
    job = bring_to(run, JobState.RUNNING)
    record(job, metrics(1))
    before = Job.objects.filter(pk=job.pk).values().get()
    with pytest.raises(IntegrityError):
        record(job, checkpoint(1), log("half"), metrics(1))
    assert Job.objects.filter(pk=job.pk).values().get() == before
    assert sequence(job) == list(range(1, before["event_seq"] + 1))
    assert Metric.objects.count() == 1
    assert not Checkpoint.objects.exists()


def test_a_failure_is_kept_among_the_events(run: Any) -> None:
    job = bring_to(run, JobState.RUNNING)
    record(job, Failed(step=3, reason="the student's loss is not finite", part="student"))
    last = job.events.last()
    assert last is not None
    assert (last.type, last.payload["reason"]) == ("failed", "the student's loss is not finite")


@pytest.mark.parametrize("action", [UserAction.PAUSE, UserAction.CHECKPOINT, UserAction.CANCEL])
def test_a_cancellation_once_asked_for_is_not_taken_back_by_another_action(run: Any, action: UserAction) -> None:
    job = bring_to(run, JobState.RUNNING)
    job_act(job, UserAction.CANCEL, actor="ada")
    with pytest.raises(ValueError, match="cannot"):
        job_act(job, action, actor="bob")
    job.refresh_from_db()
    assert (job.state, job.requested_action) == ("running", "cancel")
