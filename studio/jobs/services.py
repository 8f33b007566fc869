"""Verbs on jobs. Every change of a job goes through here: lock the row, check, write, publish after the commit."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from simcore.events import Checkpoint, Event, Metrics, Started
from studio.accounts.models import User
from studio.celery import ring
from studio.jobs import publisher
from studio.jobs.kinds import JobKind, kind_of
from studio.jobs.lifecycle import (
    ACTIONS,
    ENDED_STATES,
    HELD_STATES,
    IllegalMove,
    JobState,
    RequestedAction,
    UserAction,
    check_move,
)
from studio.jobs.models import Job, JobEvent, JobTransition
from studio.jobs.signals import job_ended
from studio.pool import placement
from studio.pool.needs import Needs, default_needs


class LeaseLost(RuntimeError):
    """The job is no longer this worker's: it must stop its trainer and write nothing more."""


# ---- making and claiming


def job_create(
    *,
    kind: JobKind,
    owner: User,
    spec: dict[str, Any],
    total_steps: int,
    priority: int = 0,
    needs: Needs | None = None,
) -> Job:
    """Queue a new job and ring for a worker. `needs`: see `pool.needs`; None: what its queue's jobs usually need."""
    needs = needs or default_needs(kind.queue)
    job = Job(
        kind=kind.name, queue=kind.queue, owner=owner, spec=spec, total_steps=total_steps, priority=priority,
        queued_at=timezone.now(), device_kind=needs.kind, device_count=needs.count, device_memory=needs.memory,
    )  # fmt: skip
    with transaction.atomic():
        job.save()
        _audit(job, from_state="", actor=owner.get_username(), reason="")
        transaction.on_commit(lambda: ring(job.queue))
    return job


def job_claim(*, queue: str, worker: str) -> Job | None:
    """Take the first queued job of that queue that fits the worker's free devices, under a new lease; or None."""
    waiting = Job.objects.filter(queue=queue, state=JobState.QUEUED).order_by("-priority", "queued_at", "pk")
    if not waiting.exists():
        return None
    with transaction.atomic():
        devices = placement.free_devices(worker)
        if devices is None:
            return None
        job = waiting.filter(placement.fits(devices)).select_for_update(skip_locked=True).first()
        if job is None:
            return None
        placement.allocate(job, devices)
        job.attempt += 1
        job.lease_token = uuid.uuid4()
        job.lease_expires_at = _lease_end()
        job.worker, job.reason = worker, ""
        job.started_at = job.started_at or timezone.now()
        _move(job, JobState.STARTING, actor=worker)
        return job


# ---- what the worker that holds the lease says


def job_renew(job_id: int, token: uuid.UUID) -> str:
    """Prolong the lease; returns the requested action. Raises LeaseLost."""
    held = Job.objects.filter(pk=job_id, lease_token=token)
    if not held.update(lease_expires_at=_lease_end()):
        raise LeaseLost
    return held.values_list("requested_action", flat=True).first() or ""


def job_record(job_id: int, token: uuid.UUID, events: Sequence[Event]) -> str:
    """Store a batch of the trainer's events, then publish; returns the requested action. Raises LeaseLost."""
    with transaction.atomic():
        job = _held(job_id, token)
        payloads = kind_of(job).project(job, events)
        for event in events:
            _follow(job, event)
        job.lease_expires_at = _lease_end()
        _append(job, payloads)
        job.save()
        transaction.on_commit(lambda: publisher.publish_changed(job_id))
    return job.requested_action


def _follow(job: Job, event: Event) -> None:
    if isinstance(event, Started):
        job.step, job.device = event.step, event.device
        if job.state == JobState.STARTING:
            _move(job, JobState.RUNNING, actor=job.worker)
    elif isinstance(event, Metrics):
        job.step = event.step
    elif isinstance(event, Checkpoint):
        job.interruptions = 0
        if job.requested_action == RequestedAction.CHECKPOINT:
            job.requested_action = ""


def job_tell(job_id: int, token: uuid.UUID, payload: dict[str, Any]) -> None:
    """Store and publish one event of the studio's own, with its `type`. Raises LeaseLost."""
    with transaction.atomic():
        job = _held(job_id, token)
        _append(job, [payload])
        job.save(update_fields=["event_seq"])


def job_end(
    job_id: int, token: uuid.UUID, state: JobState, *, reason: str = "", result: dict[str, Any] | None = None
) -> None:
    """Give the job up in a final or waiting state. Raises LeaseLost, IllegalMove."""
    with transaction.atomic():
        job = _held(job_id, token)
        if result is not None:
            job.result = result
        job.reason = reason
        _move(job, state, actor=job.worker, reason=reason or (job.hold if state == JobState.PAUSED else ""))


def job_interrupted(job_id: int, token: uuid.UUID, *, reason: str) -> None:
    """The trainer died without a word: try again, unless that happened too often. Raises LeaseLost."""
    with transaction.atomic():
        job = _held(job_id, token)
        _interrupt(job, actor=job.worker, reason=reason)


# ---- the reaper


def jobs_reap() -> int:
    """Take back every job whose lease has expired; returns how many."""
    expired = Job.objects.filter(state__in=HELD_STATES, lease_expires_at__lt=Now())
    reaped = 0
    for job_id in list(expired.values_list("pk", flat=True)):
        with transaction.atomic():
            job = expired.select_for_update(skip_locked=True).filter(pk=job_id).first()
            if job is not None:
                reaped += 1
                _interrupt(job, actor="reaper", reason=f"worker {job.worker} was lost")
    return reaped


def _interrupt(job: Job, *, actor: str, reason: str) -> None:
    """From a held state on: do what was asked for, else wait for another worker, else fail."""
    job.interruptions += 1
    if job.requested_action == RequestedAction.CANCEL:
        _move(job, JobState.CANCELLED, actor=actor, reason=reason)
    elif job.state == JobState.PAUSING:
        _move(job, JobState.PAUSED, actor=actor, reason=reason)
    elif job.interruptions >= settings.MAX_INTERRUPTIONS:
        job.reason = f"{reason}; given up after {job.interruptions} interruptions without a new checkpoint"
        _move(job, JobState.FAILED, actor=actor, reason=job.reason)
    else:
        _move(job, JobState.QUEUED, actor=actor, reason=reason)


# ---- what people ask for


def job_act(job: Job, action: UserAction, *, actor: str) -> None:
    """Do what a person asks, or note it for the worker that holds the job. Raises IllegalMove."""
    with transaction.atomic():
        job = Job.objects.select_for_update().get(pk=job.pk)
        if action not in _offered(job):
            raise IllegalMove(job.state, _AFTER[action])
        held = job.state in HELD_STATES
        if action == UserAction.CHECKPOINT or (action == UserAction.CANCEL and held):
            _request(job, RequestedAction(action.value), actor)
        elif action == UserAction.PAUSE and held:
            job.requested_action = RequestedAction.PAUSE
            _move(job, JobState.PAUSING, actor=actor)
        else:
            _move(job, _AFTER[action], actor=actor)


_AFTER: dict[UserAction, JobState] = {
    UserAction.PAUSE: JobState.PAUSED,
    UserAction.RESUME: JobState.QUEUED,
    UserAction.RETRY: JobState.QUEUED,
    UserAction.CANCEL: JobState.CANCELLED,
    UserAction.CHECKPOINT: JobState.RUNNING,
}


def _request(job: Job, action: RequestedAction, actor: str) -> None:
    job.requested_action = action
    job.hold = ""
    _append(job, [_state_payload(job, from_state=job.state, actor=actor, reason=action.label)])
    job.save()


# ---- what the studio does by itself


def job_hold(job_id: int, why: str, *, actor: str) -> bool:
    """Pause a running job that has no other request; it goes on by `jobs_go_on`. False where it cannot be paused."""
    with transaction.atomic():
        job = Job.objects.select_for_update().get(pk=job_id)
        if job.state != JobState.RUNNING or job.requested_action:
            return False
        job.requested_action, job.hold = RequestedAction.PAUSE, why
        _move(job, JobState.PAUSING, actor=actor, reason=why)
        return True


def jobs_go_on(*, actor: str, reason: str) -> int:
    """Queue what `job_hold` paused and nobody touched since; returns how many."""
    held = Job.objects.filter(state=JobState.PAUSED).exclude(hold="")
    gone = 0
    for job_id in list(held.values_list("pk", flat=True)):
        with transaction.atomic():
            job = held.select_for_update(skip_locked=True).filter(pk=job_id).first()
            if job is not None:
                gone += 1
                _move(job, JobState.QUEUED, actor=actor, reason=reason)
    return gone


# ---- the one place where states change and events get their numbers


def _held(job_id: int, token: uuid.UUID) -> Job:
    job = Job.objects.select_for_update().filter(pk=job_id, lease_token=token).first()
    if job is None:
        raise LeaseLost
    return job


def _lease_end() -> Any:
    """By the database's clock: workers' clocks differ."""
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)


def _move(job: Job, state: JobState, *, actor: str, reason: str = "") -> None:
    from_state = job.state
    check_move(from_state, state)
    job.state = state
    if state not in HELD_STATES:
        job.lease_token = job.lease_expires_at = None
        job.requested_action = ""
        placement.release(job)
    if state not in (JobState.PAUSING, JobState.PAUSED):
        job.hold = ""
    if state == JobState.QUEUED:
        job.queued_at = timezone.now()
        if from_state in (JobState.FAILED, JobState.CANCELLED):
            job.interruptions, job.reason = 0, ""
        transaction.on_commit(lambda: ring(job.queue))
    job.finished_at = timezone.now() if state in ENDED_STATES else None
    _append(job, [_state_payload(job, from_state=from_state, actor=actor, reason=reason)])
    job.save()
    _audit(job, from_state=from_state, actor=actor, reason=reason)
    if state in ENDED_STATES:
        job_ended.send(sender=Job, job=job)


def job_noted(job: Job, *, actor: str, reason: str) -> None:
    """Keep in the audit trail what changed without a move, in the caller's transaction."""
    _audit(job, from_state=job.state, actor=actor, reason=reason)


def _audit(job: Job, *, from_state: str, actor: str, reason: str) -> None:
    JobTransition.objects.create(
        job=job, from_state=from_state, to_state=job.state, actor=actor, reason=reason, at=timezone.now()
    )
    transaction.on_commit(lambda: publisher.publish_changed(job.pk))


def _state_payload(job: Job, *, from_state: str, actor: str, reason: str) -> dict[str, Any]:
    return {
        "type": "state",
        "from": from_state,
        "to": job.state,
        "from_label": JobState(from_state).label,
        "to_label": JobState(job.state).label,
        "actor": actor,
        "reason": reason,
        "worker": job.worker,
        "actions": actions_of(job),
    }


def actions_of(job: Job) -> list[dict[str, Any]]:
    """What people can do to the job now."""
    return [
        {"name": action.value, "label": action.label, "danger": action == UserAction.CANCEL} for action in _offered(job)
    ]


def _offered(job: Job) -> tuple[UserAction, ...]:
    """A cancellation that was asked for is final: another request would take its place."""
    return () if job.requested_action == RequestedAction.CANCEL else ACTIONS[JobState(job.state)]


def _append(job: Job, payloads: list[dict[str, Any]]) -> None:
    """Number and store events; the caller saves the job in the same transaction."""
    now = timezone.now()
    rows = []
    for payload in payloads:
        job.event_seq += 1
        body = {key: value for key, value in payload.items() if key != "type"}
        rows.append(
            JobEvent(job=job, seq=job.event_seq, attempt=job.attempt, type=payload["type"], payload=body, at=now)
        )
    JobEvent.objects.bulk_create(rows)
    messages = [row.as_message() for row in rows]
    transaction.on_commit(lambda: publisher.publish_events(job.pk, messages))
