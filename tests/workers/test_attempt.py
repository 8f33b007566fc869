"""One attempt, with scripted trainers; test_distillations.py has the real ones."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection

from simcore.events import Event, Failed, Finished, Metrics, Started, Stopped, event_line
from studio.jobs.lifecycle import UserAction
from studio.jobs.models import Job
from studio.jobs.services import LeaseLost, job_act, job_renew, jobs_reap
from studio.runs.models import Metric, Run
from tests.studio.builders import announce, at_once, claim, cpu, cuda, expire, moves, not_raised, sequence, token_of
from workers import attempt as attempt_module
from workers.attempt import Attempt, lease_kept, run_attempt
from workers.trainer_process import TrainerProcess

PRELUDE = """
import os, signal, sys, time
def say(text): os.write(1, text.encode() + b"\\n")
def wait_for(request):
    for line in sys.stdin:
        if line.strip() == request:
            return
    sys.exit(3)
"""


def says(*events: Event) -> str:
    """A script that emits these events."""
    return "\n".join(f"say({event_line(event)!r})" for event in events)


START = says(Started(step=0, total_steps=6, device="cpu"), Metrics(step=1, values={"student_loss": 1.0}))


@pytest.fixture
def follow(run: Run, tmp_path: Path) -> Any:
    """Claim the run and follow a scripted trainer to its end; gives the job as it is then."""

    def attempt(script: str, *, stopping: threading.Event | None = None, before: Any = None) -> Job:
        job = claim()
        if before is not None:
            before(job)
        stderr = tmp_path / "stderr.log"
        with TrainerProcess([PRELUDE + script], stderr, program=(sys.executable, "-c")) as trainer:
            Attempt(job.pk, token_of(job), trainer, stderr, stopping or threading.Event()).follow()
        return Job.objects.get(pk=job.pk)

    return attempt


def away(monkeypatch: Any, verb: str, error: Exception, times: int) -> None:
    """The database does not answer the first calls of one of the attempt's verbs."""
    left = [error] * times
    real = getattr(attempt_module, verb)

    def call(*arguments: Any, **named: Any) -> Any:
        if left:
            raise left.pop()
        return real(*arguments, **named)

    monkeypatch.setattr(attempt_module, verb, call)
    monkeypatch.setattr(attempt_module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(attempt_module.connections, "close_all", lambda: None)  # the test's own transaction


@pytest.mark.parametrize("verb", ["job_record", "job_end"])
def test_a_database_that_is_away_for_a_while_costs_nothing(follow: Any, monkeypatch: Any, verb: str) -> None:
    away(monkeypatch, verb, OperationalError("the server closed the connection"), 3)
    job = follow(START + "\n" + says(Finished(step=6, summary={})))
    assert (job.state, job.reason) == ("succeeded", "")
    assert Metric.objects.count() == 1


def test_a_database_that_stays_away_ends_the_attempt_as_if_its_lease_were_lost(follow: Any, monkeypatch: Any) -> None:
    away(monkeypatch, "job_record", InterfaceError("connection already closed"), 1000)
    monkeypatch.setattr(attempt_module, "PATIENCE_SECONDS", 0.1)
    with pytest.raises(LeaseLost):
        follow(START + "\n" + says(Finished(step=6, summary={})))


def test_an_attempt_that_breaks_before_its_trainer_fails_with_the_reason(
    run: Run, monkeypatch: Any, settings: Any, tmp_path: Path
) -> None:
    settings.RUNS_FOLDER = tmp_path
    monkeypatch.setattr(attempt_module, "kind_of", {}.__getitem__)  # as of a kind that this worker does not know
    job = claim()
    run_attempt(job, threading.Event())
    job.refresh_from_db()
    assert job.state == "failed"
    assert job.reason.startswith("the worker met an unexpected KeyError")


def asks(action: UserAction) -> Any:
    return lambda job: job_act(job, action, actor="ada")


def test_a_trainer_that_finishes_succeeds_with_its_summary(follow: Any) -> None:
    job = follow(START + "\n" + says(Finished(step=6, summary={"student_frechet": 3.3})))
    assert (job.state, job.result, job.reason) == ("succeeded", {"student_frechet": 3.3}, "")
    assert [to for _, to in moves(job)] == ["queued", "starting", "running", "succeeded"]
    assert [event.type for event in job.events.exclude(type="state").order_by("seq")] == [
        "started",
        "metrics",
        "finished",
    ]


def test_a_trainer_that_fails_says_why(follow: Any) -> None:
    job = follow(
        START + "\n" + says(Failed(step=1, reason="the student's loss is not finite", part="student")) + "\nsys.exit(1)"
    )
    assert (job.state, job.reason) == ("failed", "the student's loss is not finite")


def test_a_trainer_that_crashes_leaves_the_end_of_its_log_as_reason(follow: Any) -> None:
    job = follow(START + "\nsys.stderr.write('x' * 5000 + 'MemoryError: at last'); sys.exit(9)")
    assert job.state == "failed"
    assert job.reason.startswith("the trainer ended with exit code 9: x")
    assert job.reason.endswith("MemoryError: at last")
    assert len(job.reason) < 2100


@pytest.mark.parametrize("script", ["", START])
def test_a_trainer_that_ends_without_a_word_is_no_success(follow: Any, script: str) -> None:
    job = follow(script)
    assert (job.state, job.result) == ("failed", None)
    assert "exit code 0" in job.reason


@pytest.mark.parametrize(
    "said",
    [
        [Finished(step=6, summary={})],
        [Started(step=0, total_steps=6, device="cpu"), Stopped(step=0, reason="pause")],
        [Started(step=0, total_steps=6, device="cpu"), *2 * [Metrics(step=1, values={"student_loss": 1.0})]],
        [Started(step=0, total_steps=6, device="cpu" * 100), Finished(step=6, summary={})],
    ],
    ids=["finished before it started", "paused unasked", "one step twice", "a device too long for its column"],
)
def test_a_trainer_that_says_what_cannot_be_fails_its_job_and_not_its_worker(follow: Any, said: list[Event]) -> None:
    job = follow(says(*said))
    too_long_for_postgresql_only = len(getattr(said[0], "device", "")) > 100 and connection.vendor == "sqlite"
    assert job.state == ("succeeded" if too_long_for_postgresql_only else "failed")
    if job.state == "failed":
        assert "the trainer said what cannot be: " in job.reason


def test_bytes_that_are_no_text_are_kept_readable(follow: Any) -> None:
    job = follow(START + "\nos.write(1, b'\\xff\\0odd\\n'); os.write(2, b'\\0\\xffbroken'); sys.exit(1)")
    assert job.reason == "the trainer ended with exit code 1: \ufffdbroken"
    assert job.events.get(type="log").payload["message"] == "\ufffdodd"


def test_a_trainer_that_is_killed_is_tried_again(follow: Any) -> None:
    job = follow(START + "\nos.kill(os.getpid(), signal.SIGKILL)")
    assert (job.state, job.interruptions) == ("queued", 1)
    assert job.transitions.last().reason == "the trainer was killed by SIGKILL"  # type: ignore[union-attr]
    assert list(Metric.objects.values_list("step", flat=True)) == [1]  # what it said before is kept


def test_what_is_no_event_is_kept_as_a_warning(follow: Any) -> None:
    job = follow(
        START + "\nsay('Downloading: 50 %'); say('{\"type\": \"surprise\"}')\n" + says(Finished(step=6, summary={}))
    )
    assert job.state == "succeeded"
    logs = job.events.filter(type="log").order_by("seq").values_list("payload", flat=True)
    assert [(log["level"], log["message"]) for log in logs] == [
        ("warning", "Downloading: 50 %"),
        ("warning", '{"type": "surprise"}'),
    ]


def test_thousands_of_events_are_stored_in_order(follow: Any, tmp_path: Path) -> None:
    many = range(2, 2_001)
    metrics = [Metrics(step=step, values={"student_loss": 1.0}) for step in many]
    lines = tmp_path / "lines"
    lines.write_text("".join(event_line(event) + "\n" for event in metrics))
    job = follow(f"{START}\nsay(open({str(lines)!r}).read()[:-1])\n" + says(Finished(step=2_000, summary={})))
    assert job.state == "succeeded"
    assert sequence(job) == list(range(1, job.event_seq + 1))
    assert list(Metric.objects.order_by("step").values_list("step", flat=True)) == [1, *many]


def test_a_pause_is_passed_on_and_the_job_waits(follow: Any) -> None:
    job = follow(START + "\nwait_for('pause')\n" + says(Stopped(step=1, reason="pause")), before=asks(UserAction.PAUSE))
    assert (job.state, job.requested_action, job.lease_token) == ("paused", "", None)


def test_a_cancellation_is_passed_on_and_ends_the_job(follow: Any) -> None:
    job = follow(
        START + "\nwait_for('cancel')\n" + says(Stopped(step=1, reason="cancel")), before=asks(UserAction.CANCEL)
    )
    assert job.state == "cancelled"


def test_a_trainer_deaf_to_a_cancellation_is_killed_in_time(follow: Any, settings: Any) -> None:
    settings.STOP_SECONDS = 0.3
    job = follow(START + "\ntime.sleep(1000)", before=asks(UserAction.CANCEL))
    assert job.state == "cancelled"


def test_a_run_that_finishes_although_it_was_to_be_cancelled_has_succeeded(follow: Any) -> None:
    job = follow(START + "\nwait_for('cancel')\n" + says(Finished(step=6, summary={})), before=asks(UserAction.CANCEL))
    assert job.state == "succeeded"


def test_a_worker_that_stops_has_its_job_queued_again(follow: Any) -> None:
    stopping = threading.Event()
    stopping.set()
    job = follow(START + "\nwait_for('pause')\n" + says(Stopped(step=1, reason="pause")), stopping=stopping)
    assert (job.state, job.interruptions) == ("queued", 0)
    assert job.transitions.last().reason == "its worker was stopped"  # type: ignore[union-attr]


def test_a_worker_that_stops_lets_a_pausing_job_pause(follow: Any) -> None:
    stopping = threading.Event()
    stopping.set()
    script = START + "\nwait_for('pause')\n" + says(Stopped(step=1, reason="pause"))
    assert follow(script, stopping=stopping, before=asks(UserAction.PAUSE)).state == "paused"


def test_a_worker_that_stops_waits_no_longer_than_agreed(follow: Any, settings: Any) -> None:
    settings.STOP_SECONDS = 0.3
    stopping = threading.Event()
    stopping.set()
    assert follow(START + "\ntime.sleep(1000)", stopping=stopping).state == "queued"


def test_a_trainer_that_hangs_is_killed_and_said_so(follow: Any, settings: Any) -> None:
    settings.STALL_SECONDS = 0.5
    job = follow(START + "\ntime.sleep(1000)")
    assert job.state == "failed"
    assert "the trainer said nothing for" in job.reason


@pytest.mark.django_db(transaction=True)
def test_a_silent_trainer_keeps_its_lease(follow: Any, settings: Any) -> None:
    settings.LEASE_SECONDS = 3
    ended = threading.Event()

    def work() -> Job:
        try:
            return follow(START + "\ntime.sleep(4)\n" + says(Finished(step=6, summary={})))
        finally:
            ended.set()

    def reap_meanwhile() -> int:
        reaped = 0
        while not ended.wait(0.2):
            reaped += jobs_reap()
        return reaped

    job, reaped = not_raised(at_once(work, reap_meanwhile))
    assert (job.state, job.attempt, reaped) == ("succeeded", 1, 0)


def test_a_worker_that_lost_its_lease_writes_nothing(run: Run, follow: Any) -> None:
    def lose(job: Job) -> None:
        expire(job)
        assert jobs_reap() == 1

    with pytest.raises(LeaseLost):
        follow(START + "\ntime.sleep(1000)", before=lose)
    assert Job.objects.get(pk=run.pk).state == "queued"
    assert not Metric.objects.exists()


def test_a_folder_that_cannot_be_used_fails_the_job_with_the_reason(run: Run, settings: Any, tmp_path: Path) -> None:
    settings.RUNS_FOLDER = tmp_path / "runs"
    settings.RUNS_FOLDER.write_text("a file in the folder's place")
    run_attempt(claim(), threading.Event())
    job = Job.objects.get(pk=run.pk)
    assert job.state == "failed"
    assert f"the attempt's folder {tmp_path}/runs/{run.pk}/attempts/1 cannot be used: " in job.reason


@pytest.mark.django_db(transaction=True)
def test_checking_a_large_checkpoint_keeps_the_lease(run: Run, settings: Any) -> None:
    settings.LEASE_SECONDS = 1
    job = claim()
    with lease_kept(job.pk, token_of(job)):
        for _ in range(5):
            time.sleep(0.5)
            assert jobs_reap() == 0
    time.sleep(1.2)
    assert jobs_reap() == 1


@pytest.mark.django_db(transaction=True)
def test_a_lease_lost_while_a_checkpoint_is_checked_is_not_taken_back(run: Run, settings: Any) -> None:
    settings.LEASE_SECONDS = 0.3
    job = claim()
    with lease_kept(job.pk, token_of(job)):
        expire(job)
        assert jobs_reap() == 1
        time.sleep(0.5)
    assert Job.objects.get(pk=run.pk).state == "queued"
    with pytest.raises(LeaseLost):
        job_renew(job.pk, token_of(job))


@pytest.mark.parametrize(("device", "seen"), [(cuda("GPU-a"), "GPU-a"), (cpu("cpu:w"), "")])
def test_a_trainer_sees_the_devices_of_its_job_only(
    run: Run, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, device: Any, seen: str
) -> None:
    settings.RUNS_FOLDER = tmp_path / "runs"
    Job.objects.filter(pk=run.pk).update(device_kind=device.kind, device_count=1)
    announce("w", device)
    script = PRELUDE + START + "\nsay('<' + os.environ['CUDA_VISIBLE_DEVICES'] + '>')\n"
    monkeypatch.setattr("workers.attempt.TrainerProcess", lambda _, stderr, environment: TrainerProcess(
        [script], stderr, program=(sys.executable, "-c"), environment=environment))  # fmt: skip
    run_attempt(claim("w"), threading.Event())
    assert run.job.events.get(type="log").payload["message"] == f"<{seen}>"
