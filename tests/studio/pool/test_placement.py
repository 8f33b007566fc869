from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from simcore.presets import find_preset
from studio.celery import RUNS_QUEUE
from studio.jobs.lifecycle import JobState, UserAction
from studio.jobs.models import Job
from studio.jobs.services import job_act, job_claim, job_end, jobs_reap
from studio.pool.models import Allocation, Worker
from studio.pool.needs import GIB, Needs, training_needs
from studio.pool.selectors import announced_device, wait_reasons, workers_with_state
from studio.pool.services import (
    rings_owed,
    worker_announce,
    worker_drain,
    worker_heartbeat,
    worker_leave,
    workers_forget,
)
from studio.runs.services import run_create
from tests.launch_spec import spec_with
from tests.studio.builders import announce, at_once, cpu, cuda, expire, not_raised, token_of


@pytest.fixture
def job(user: Any, teacher: Any, redis_server: None) -> Any:
    """Queue a run that needs this."""

    def build(needs: Needs, priority: int = 0) -> Job:
        run = run_create(owner=user, name="run", preset="digits-demo", spec=find_preset("digits-demo").spec)
        wanted = {"device_kind": needs.kind, "device_count": needs.count, "device_memory": needs.memory}
        Job.objects.filter(pk=run.pk).update(priority=priority, **wanted)
        return Job.objects.get(pk=run.pk)

    return build


def claim_by(worker: str) -> int | None:
    job = job_claim(queue=RUNS_QUEUE, worker=worker)
    return job.pk if job else None


def reason(job: Job) -> str:
    return wait_reasons([Job.objects.get(pk=job.pk)]).get(job.pk, "not queued")


def silence(worker: str, seconds: float) -> None:
    Worker.objects.filter(name=worker).update(heartbeat_at=timezone.now() - timedelta(seconds=seconds))


# ---- which job a worker takes


def test_a_worker_takes_the_first_job_that_fits_and_leaves_the_others(job: Any) -> None:
    announce("small", cuda("GPU-a", 16), cpu("cpu:small", 8))
    large = job(Needs("cuda", 1, 40 * GIB), priority=9)
    two = job(Needs("cuda", 2, 1 * GIB), priority=8)
    roomy = job(Needs("cpu", 1, 9 * GIB), priority=7)
    fitting = job(Needs("cuda", 1, 16 * GIB), priority=-5)
    assert claim_by("small") == fitting.pk
    assert claim_by("small") is None
    announce("large", cuda("GPU-b", 80), cuda("GPU-c", 40), cpu("cpu:large", 64))
    assert [claim_by("large") for _ in range(3)] == [large.pk, roomy.pk, None]
    assert {row.device_uuid for row in large.allocations.all()} == {"GPU-c"}, "the smallest that is enough"
    job_end(large.pk, token_of(Job.objects.get(pk=large.pk)), JobState.FAILED)
    assert claim_by("large") == two.pk
    assert two.allocations.count() == 2


def test_several_devices_must_each_have_the_memory(job: Any) -> None:
    announce("mixed", cuda("GPU-a", 80), cuda("GPU-b", 16))
    job(Needs("cuda", 2, 40 * GIB))
    assert claim_by("mixed") is None


def test_a_worker_that_never_announced_itself_takes_nothing(job: Any) -> None:
    job(Needs("cpu", 1))
    assert claim_by("stranger") is None


def test_what_needs_no_device_goes_to_any_worker(job: Any) -> None:
    small = job(Needs())
    announce("light", queue="light")
    Worker.objects.filter(name="light").update(queues=RUNS_QUEUE)
    Worker.objects.get().devices.all().delete()
    assert claim_by("light") == small.pk


@pytest.mark.parametrize("how", ["failed", "queued", "reaped"])
def test_a_device_is_free_again_when_its_job_is_given_up(job: Any, how: str) -> None:
    announce("w", cuda("GPU-a"))
    mine = job(Needs("cuda", 1))
    assert claim_by("w") == mine.pk
    if how == "reaped":
        expire(mine)
        assert jobs_reap() == 1
    else:
        job_end(mine.pk, token_of(Job.objects.get(pk=mine.pk)), JobState(how))
    assert not Allocation.objects.exists()


def test_a_device_that_two_workers_share_has_one_job(job: Any) -> None:
    announce("one", cuda("GPU-a"))
    announce("two", cuda("GPU-a"))
    first, _ = job(Needs("cuda", 1)), job(Needs("cuda", 1))
    assert claim_by("one") == first.pk
    assert claim_by("two") is None


def test_the_database_refuses_a_second_job_on_a_device(job: Any) -> None:
    one, two = job(Needs("cuda", 1)), job(Needs("cuda", 1))
    Allocation.objects.create(job=one, device_uuid="GPU-a")
    with pytest.raises(IntegrityError):
        Allocation.objects.create(job=two, device_uuid="GPU-a")


@pytest.mark.django_db(transaction=True)
def test_workers_that_claim_at_once_never_share_a_device(job: Any) -> None:
    for _ in range(6):
        job(Needs("cuda", 1))
    for worker in ("one", "two", "three"):
        announce(worker, cuda("GPU-a"), cuda("GPU-b"))
    claimed = not_raised(at_once(*(lambda w=w: claim_by(w) for w in ("one", "two", "three", "one"))))
    assert len([pk for pk in claimed if pk]) == Allocation.objects.count() <= 2
    assert Job.objects.filter(state=JobState.STARTING).count() == Allocation.objects.count()


# ---- draining, being lost, leaving


def test_a_draining_worker_takes_nothing_until_it_is_undrained(job: Any) -> None:
    worker = announce("w", cuda("GPU-a"))
    mine = job(Needs("cuda", 1))
    worker_drain(worker, draining=True, actor="admin")
    worker_drain(worker, draining=True, actor="admin")  # again changes nothing
    assert claim_by("w") is None
    assert reason(mine) == "waits: w drains and takes nothing new"
    assert workers_with_state().get().state == "draining"
    worker_drain(worker, draining=False, actor="admin")
    assert claim_by("w") == mine.pk


def test_a_silent_worker_is_lost_and_comes_back_with_its_next_heartbeat(db: None) -> None:
    announce("w", cuda("GPU-a"))
    silence("w", 19)
    assert workers_with_state().get().state == "active"
    silence("w", 21)
    assert workers_with_state().get().state == "lost"
    assert worker_heartbeat(name="w", devices=[])
    assert workers_with_state().get().state == "active"


def test_a_worker_lost_for_a_day_is_forgotten_and_announces_itself_anew(db: None, redis_server: None) -> None:
    announce("old", cuda("GPU-a"))
    announce("young", cuda("GPU-b"))
    silence("old", 86_500)
    workers_forget()
    assert [worker.name for worker in Worker.objects.all()] == ["young"]
    assert not worker_heartbeat(name="old", devices=[])


def test_a_worker_that_leaves_is_gone(db: None) -> None:
    announce("w", cuda("GPU-a"))
    worker_leave("w")
    assert not Worker.objects.exists()


def test_a_heartbeat_brings_what_the_devices_do(db: None) -> None:
    worker = announce("w", cuda("GPU-a", 80))
    reading = cuda("GPU-a", 80)
    busy = type(reading)(**(vars(reading) | {"memory_used": 5 * GIB, "utilisation": 97}))
    worker_heartbeat(name="w", devices=[busy])
    device = worker.devices.get()
    assert (device.memory, device.memory_used, device.utilisation) == (80 * GIB, 5 * GIB, 97)


def test_devices_that_come_late_or_go_are_followed_and_silence_changes_nothing(db: None, redis_server: None) -> None:
    worker = announce("w", cuda("GPU-a"))
    worker_heartbeat(name="w", devices=[cuda("GPU-b")])
    assert [device.uuid for device in worker.devices.all()] == ["GPU-b"]
    worker_heartbeat(name="w", devices=[], complete=False)
    assert [device.uuid for device in worker.devices.all()] == ["GPU-b"]


def test_a_worker_started_again_under_its_name_takes_the_place_of_the_old_one(db: None, redis_server: None) -> None:
    worker_drain(announce("w", cuda("GPU-a")), draining=True, actor="admin")
    worker = worker_announce(name="w", queues=["runs"], devices=[cuda("GPU-b")])
    assert not worker.draining
    assert [device.uuid for device in Worker.objects.get().devices.all()] == ["GPU-b"]


def test_every_worker_hears_of_jobs_that_wait(job: Any) -> None:
    for worker in ("one", "two", "three", "drained", "silent"):
        announce(worker)
    announce("light", queue="light")
    assert rings_owed() == {}
    job(Needs("cuda", 1))
    worker_drain(Worker.objects.get(name="drained"), draining=True, actor="admin")
    silence("silent", 60)
    assert rings_owed() == {RUNS_QUEUE: 2}, "and one by beat"


# ---- what is said while it waits


def test_the_reason_says_what_is_missing(job: Any) -> None:
    mine = job(Needs("cuda", 2, 20 * GIB))
    assert reason(mine) == "waits: no worker serves the queue “runs”"
    announce("x", cuda("GPU-a", 80))
    assert reason(mine) == "waits: needs 2 CUDA devices with 20 GiB; x has 1, with 80 GiB at most"
    announce("y", cpu("cpu:y"))
    assert reason(mine).endswith("; x has 1, with 80 GiB at most; y has none")
    announce("z", cuda("GPU-b", 80), cuda("GPU-c", 24))
    assert reason(mine) == "", "the next ring brings it there"


def test_the_reason_says_who_is_busy(job: Any) -> None:
    announce("x", cuda("GPU-a"))
    job(Needs("cuda", 1))
    waiting = job(Needs("cuda", 1))
    claim_by("x")
    assert reason(waiting) == "waits for 1 CUDA device: x is busy"
    silence("x", 30)
    assert reason(waiting) == "waits: no worker serves the queue “runs”", "a lost worker is no hope"


def test_a_full_disk_is_the_reason_before_all_others(job: Any, settings: Any) -> None:
    mine = job(Needs("cuda", 1))
    settings.DISK_RESERVE = 2**60
    assert reason(mine).startswith("the disk is nearly full: ")


def test_only_what_is_queued_waits(job: Any) -> None:
    mine = job(Needs("cuda", 1))
    job_act(mine, UserAction.PAUSE, actor="ada")
    assert reason(mine) == "not queued"


# ---- what a run needs


def test_a_run_needs_what_its_spec_says() -> None:
    spec = spec_with({"device": "cuda", "batch_size": 64, "performance.devices": 4})
    assert training_needs(spec, 1_000_000) == Needs("cuda", 4, 40_000_000)
    spec = spec_with({"device": "cuda", "performance.memory_gib": 20})
    assert training_needs(spec, 1_000_000) == Needs("cuda", 1, 20 * GIB)
    spec = spec_with({"device": "cpu", "batch_size": 64, "performance.devices": 2})
    assert training_needs(spec, 1_000_000) == Needs("cpu", 1, 80_000_000), "processes share the CPU"


def test_an_automatic_device_is_what_the_workers_announce(user: Any, teacher: Any, redis_server: None) -> None:
    def device() -> Any:
        run = run_create(owner=user, name="", preset="digits-demo", spec=spec_with({"device": "auto"}))
        return run.job.spec["device"], run.job.device_kind

    assert announced_device() is None
    announce("x", cpu("cpu:x"))
    assert device() == ("cpu", "cpu")
    announce("y", cuda("GPU-a"))
    assert device() == ("cuda", "cuda")
    silence("y", 60)
    assert device() == ("cpu", "cpu")
