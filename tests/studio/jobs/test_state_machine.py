"""Random lives of a job, against a model of a few lines."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from simcore.presets import find_preset
from studio.celery import RUNS_QUEUE
from studio.jobs.lifecycle import ENDED_STATES, HELD_STATES, IllegalMove, JobState, UserAction
from studio.jobs.models import Job
from studio.jobs.services import (
    LeaseLost,
    actions_of,
    job_act,
    job_claim,
    job_end,
    job_interrupted,
    job_renew,
    jobs_reap,
)
from studio.runs.models import Metric
from studio.runs.services import run_create
from tests.studio.builders import announce, checkpoint, expire, metrics, moves, record, sequence, started, token_of


def held(machine: JobLife) -> bool:
    return machine.state in HELD_STATES


class JobLife(RuleBasedStateMachine):
    """One job; what it should be is `state`, `asked`, `attempt`, `losses` and `step`."""

    owner: Any

    def __init__(self) -> None:
        super().__init__()
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        spec = find_preset("digits-demo").spec
        self.pk = run_create(owner=self.owner, name="life", preset="digits-demo", spec=spec).pk
        self.state, self.asked, self.attempt, self.losses, self.step = "queued", "", 0, 0, 0
        self.path = [("", "queued")]
        self.leases: list[Job] = []

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.transaction.__exit__(None, None, None)

    def move(self, state: str) -> None:
        self.path.append((self.state, state))
        self.state = state
        if state not in HELD_STATES:
            self.asked = ""

    def lose(self) -> None:
        self.losses += 1
        if self.asked == "cancel":
            self.move("cancelled")
        elif self.state == "pausing":
            self.move("paused")
        else:
            self.move("failed" if self.losses >= django_settings.MAX_INTERRUPTIONS else "queued")

    @rule()
    def claim(self) -> None:
        worker = f"worker-{self.attempt}"
        announce(worker)
        job = job_claim(queue=RUNS_QUEUE, worker=worker)
        assert (job is not None) == (self.state == "queued")
        if job is not None:
            self.attempt += 1
            self.leases.append(job)
            self.move("starting")

    @precondition(held)
    @rule()
    def start(self) -> None:
        restored = 0 if self.step < 3 else self.step - 3
        record(self.leases[-1], started(restored))
        self.step = restored
        if self.state == "starting":
            self.move("running")

    @precondition(lambda machine: machine.state in ("running", "pausing"))
    @rule(count=st.integers(1, 4))
    def train(self, count: int) -> None:
        points = [metrics(self.step + n) for n in range(1, count + 1)]
        # An attempt trains only after its trainer has said where it starts.
        asked = record(self.leases[-1], started(self.step), *points)
        self.step += count
        assert asked == self.asked

    @precondition(lambda machine: machine.state in ("running", "pausing"))
    @rule()
    def save(self) -> None:
        self.step += 1
        self.asked = "" if self.asked == "checkpoint" else self.asked
        assert record(self.leases[-1], started(self.step - 1), metrics(self.step), checkpoint(self.step)) == self.asked
        self.losses = 0

    @precondition(held)
    @rule(state=st.sampled_from([JobState.QUEUED, JobState.PAUSED, *ENDED_STATES]))
    def end(self, state: JobState) -> None:
        allowed = {
            "starting": ("queued", "failed", "cancelled"),
            "running": ("queued", *ENDED_STATES),
            "pausing": ("queued", "paused", *ENDED_STATES),
        }[self.state]
        job = self.leases[-1]
        try:
            job_end(self.pk, token_of(job), state)
        except IllegalMove:
            assert state not in allowed
        else:
            assert state in allowed
            self.move(state)

    @precondition(held)
    @rule()
    def crash(self) -> None:
        job_interrupted(self.pk, token_of(self.leases[-1]), reason="the trainer was killed by SIGKILL")
        self.lose()

    @rule(silent=st.booleans())
    def reap(self, silent: bool) -> None:
        if silent and self.state in HELD_STATES:
            expire(Job.objects.get(pk=self.pk))
            assert jobs_reap() == 1
            self.lose()
        else:
            assert jobs_reap() == 0

    @rule(action=st.sampled_from(list(UserAction)))
    def act(self, action: UserAction) -> None:
        job = Job.objects.get(pk=self.pk)
        try:
            job_act(job, action, actor="ada")
        except IllegalMove:
            assert action not in self.offered()
            return
        assert action in self.offered()
        if action == "checkpoint" or (action == "cancel" and self.state in HELD_STATES):
            self.asked = action.value
        elif action == "pause" and self.state in HELD_STATES:
            self.asked = "pause"
            self.move("pausing")
        else:
            self.losses = 0 if action == "retry" else self.losses
            self.move({"pause": "paused", "resume": "queued", "retry": "queued", "cancel": "cancelled"}[action.value])

    def offered(self) -> list[str]:
        if self.asked == "cancel":
            return []
        return {
            "queued": ["pause", "cancel"],
            "starting": ["pause", "cancel"],
            "running": ["pause", "checkpoint", "cancel"],
            "pausing": ["cancel"],
            "paused": ["resume", "cancel"],
            "failed": ["retry"],
            "cancelled": ["retry"],
            "succeeded": [],
        }[self.state]

    @precondition(lambda machine: len(machine.leases) > (machine.state in HELD_STATES))
    @rule()
    def write_late(self) -> None:
        stale = self.leases[0]
        with pytest.raises(LeaseLost):
            record(stale, metrics(10_000))
        with pytest.raises(LeaseLost):
            job_renew(self.pk, token_of(stale))

    @invariant()
    def the_row_is_as_the_model(self) -> None:
        job = Job.objects.get(pk=self.pk)
        row = (job.state, job.requested_action, job.attempt, job.interruptions, job.step)
        assert row == (self.state, self.asked, self.attempt, self.losses, self.step)
        assert [offer["name"] for offer in actions_of(job)] == self.offered()
        assert (job.finished_at is not None) == (self.state in ENDED_STATES)

    @invariant()
    def a_lease_exists_exactly_while_the_job_is_held(self) -> None:
        job = Job.objects.get(pk=self.pk)
        lease = self.leases[-1].lease_token if self.state in HELD_STATES else None
        assert job.lease_token == lease
        assert (job.lease_expires_at is not None) == (self.state in HELD_STATES)

    @invariant()
    def the_audit_trail_is_the_path_of_states(self) -> None:
        job = Job.objects.get(pk=self.pk)
        assert moves(job) == self.path
        payloads = job.events.filter(type="state").order_by("seq").values_list("payload", flat=True)
        assert [(p["from"], p["to"]) for p in payloads if p["from"] != p["to"]] == self.path[1:]

    @invariant()
    def events_are_numbered_without_gaps(self) -> None:
        job = Job.objects.get(pk=self.pk)
        assert sequence(job) == list(range(1, job.event_seq + 1))

    @invariant()
    def each_step_is_drawn_once(self) -> None:
        steps = list(
            Metric.objects.filter(run_id=self.pk, superseded=False).order_by("step").values_list("step", flat=True)
        )
        assert steps == list(range(1, self.step + 1))


def test_a_job_lives_by_the_rules_whatever_happens(user: Any, teacher: Any, redis_server: None) -> None:
    JobLife.owner = user
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    run_state_machine_as_test(
        JobLife,
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=checks, derandomize=True
        ),
    )
