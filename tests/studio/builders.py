"""Jobs in a wanted state, the events of a trainer, and other people working at the same time."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from django.db import connections
from django.utils import timezone

from simcore import events
from studio.celery import RUNS_QUEUE
from studio.jobs.lifecycle import JobState, UserAction
from studio.jobs.models import Job
from studio.jobs.services import job_act, job_claim, job_end, job_record
from studio.pool.models import Worker
from studio.pool.needs import GIB
from studio.pool.services import DeviceReading, worker_announce
from studio.runs.models import Run


def claim(worker: str = "worker-1", queue: str = RUNS_QUEUE) -> Job:
    """The queue's next job, under a new lease; the worker has CPU devices enough for whatever a test launches."""
    announce(worker, queue=queue)
    job = job_claim(queue=queue, worker=worker)
    assert job is not None, "no job was waiting"
    return job


def announce(worker: str, *devices: DeviceReading, queue: str = RUNS_QUEUE) -> Worker:
    """A worker with these devices, or with eight CPU devices; one that is known keeps what it has."""
    if not devices and (known := Worker.objects.filter(name=worker).first()):
        return known
    readings = devices or [cpu(f"cpu:{worker}/{number}") for number in range(8)]
    return worker_announce(name=worker, queues=[queue], devices=readings)


def cpu(uuid: str, gib: float = 64) -> DeviceReading:
    return DeviceReading(uuid, "cpu", "CPU", int(gib * GIB))


def cuda(uuid: str, gib: float = 80) -> DeviceReading:
    return DeviceReading(uuid, "cuda", "H100", int(gib * GIB))


def token_of(job: Job) -> uuid.UUID:
    assert job.lease_token is not None
    return job.lease_token


def record(job: Job, *said: events.Event) -> str:
    """What the job's trainer says, stored under the lease that `job` carries."""
    return job_record(job.pk, token_of(job), said)


def started(step: int = 0, device: str = "cpu", *, resumed: bool | None = None) -> events.Started:
    return events.Started(step=step, resumed=step > 0 if resumed is None else resumed, total_steps=2_500, device=device)


def metrics(step: int, **values: float) -> events.Metrics:
    return events.Metrics(step=step, values=values or {"student_loss": float(step)})


def samples(step: int, source: Any = "student") -> events.Samples:
    return events.Samples(step=step, source=source, path=f"samples/{source}-{step}.png", count=64, columns=8, nfe=1)


def checkpoint(step: int, content: bytes = b"full") -> events.Checkpoint:
    digest = hashlib.sha256(content).hexdigest()
    return events.Checkpoint(step=step, path=f"checkpoints/{step}.safetensors", size=len(content), sha256=digest)


def evaluation(step: int, source: Any = "student", **values: float) -> events.Evaluation:
    return events.Evaluation(step=step, source=source, values=values or {"frechet": 3.0}, samples=100, nfe=1)


def log(message: str) -> events.Log:
    return events.Log(message=message)


def bring_to(run: Run, state: JobState) -> Job:
    """Move a fresh run's job to a state by legal verbs; a held one carries its token."""
    job = run.job
    if state == JobState.QUEUED:
        return job
    if state == JobState.PAUSED:
        job_act(job, UserAction.PAUSE, actor="ada")
        return Job.objects.get(pk=job.pk)
    claim()
    job.refresh_from_db()
    if state == JobState.STARTING:
        return job
    record(job, started())
    if state == JobState.PAUSING:
        job_act(job, UserAction.PAUSE, actor="ada")
    elif state != JobState.RUNNING:
        job_end(job.pk, token_of(job), state)
    return Job.objects.get(pk=job.pk)


def expire(job: Job) -> None:
    """Let the lease have ended a minute ago."""
    Job.objects.filter(pk=job.pk).update(lease_expires_at=timezone.now() - timedelta(minutes=1))


def moves(job: Job) -> list[tuple[str, str]]:
    """The audit trail."""
    return list(job.transitions.values_list("from_state", "to_state"))


def sequence(job: Job) -> list[int]:
    return list(job.events.order_by("seq").values_list("seq", flat=True))


def at_once(*functions: Callable[[], Any]) -> list[Any]:
    """Run the functions in threads that start together, each with database connections of its own.

    Returns their results in order; an exception is its function's result.
    """
    barrier = threading.Barrier(len(functions))
    results: list[Any] = [None] * len(functions)

    def work(number: int) -> None:
        try:
            barrier.wait(10)
            results[number] = functions[number]()
        except Exception as error:
            results[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread hangs"
    return results


def not_raised(results: Sequence[Any]) -> list[Any]:
    """The results, once none of them is an exception."""
    failures = [result for result in results if isinstance(result, Exception)]
    assert not failures, failures
    return list(results)
