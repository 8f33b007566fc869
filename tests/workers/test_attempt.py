"""One attempt, with scripted trainers for its edges, and with real distillations."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import connection, connections

from simcore.config import EvaluationSpec, RunSpec, ScheduleSpec
from simcore.events import Event, Failed, Finished, Metrics, Started, Stopped, event_line
from studio.jobs.lifecycle import UserAction
from studio.jobs.models import Job
from studio.jobs.services import LeaseLost, job_act, jobs_reap
from studio.runs.distillation import newest_whole_checkpoint, run_folder
from studio.runs.models import Checkpoint, Evaluation, Metric, Run, SampleGrid
from studio.runs.services import run_create
from tests.stack import wait_for
from tests.studio.builders import at_once, claim, expire, moves, not_raised, sequence, token_of
from workers.attempt import Attempt, attempt_folder, run_attempt
from workers.trainer_process import TrainerProcess

# ---- with a scripted trainer

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
    assert steps() == [1, *many]


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


# ---- real distillations


@pytest.fixture
def launch(user: Any, teacher: Any, redis_server: None, settings: Any, tmp_path: Path) -> Any:
    """Queue a tiny distillation of the bundled teacher."""
    settings.RUNS_FOLDER = tmp_path / "runs"

    def queue(**changes: Any) -> Run:
        spec = RunSpec(
            **{
                "iterations": 6,
                "batch_size": 4,
                "threads": 1,
                "device": "cpu",
                "schedule": ScheduleSpec(samples_every=3, sample_count=20, checkpoint_every=3),
                "evaluation": EvaluationSpec(every=3, samples=100, final_samples=100, teacher_steps=4),
            }
            | changes
        )
        return run_create(owner=user, name="tiny", preset="digits-demo", spec=spec)

    return queue


def attempt() -> Job:
    """Claim the next job and work on it to its end."""
    job = claim()
    run_attempt(job, threading.Event())
    return Job.objects.get(pk=job.pk)


class Working:
    """A worker on the next job, in a thread; `trainer` is its process."""

    def __init__(self) -> None:
        self.job = claim()
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        try:
            run_attempt(self.job, threading.Event())
        finally:
            connections.close_all()

    @property
    def trainer(self) -> psutil.Process:
        folder = str(attempt_folder(self.job))
        (process,) = (child for child in psutil.Process().children() if folder in " ".join(child.cmdline()))
        return process

    def __enter__(self) -> Working:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


def steps(name: str = "student_loss") -> list[int]:
    rows = Metric.objects.filter(name=name, superseded=False).order_by("step")
    return list(rows.values_list("step", flat=True))


def test_a_distillation_runs_to_its_end_and_everything_is_recorded(launch: Any) -> None:
    run = launch()
    job = attempt()
    assert (job.state, job.step, job.reason) == ("succeeded", 6, "")
    assert {"student_frechet", "teacher_frechet", "initial_frechet", "student_accuracy", "iterations"} <= set(
        job.result
    )
    assert steps() == steps("denoiser_loss") == [1, 2, 3, 4, 5, 6]
    assert list(SampleGrid.objects.order_by("step", "source").values_list("source", "step")) == [
        ("student", 0),
        ("teacher", 0),
        ("student", 3),
        ("student", 6),
    ]
    assert list(Evaluation.objects.order_by("step", "source").values_list("source", "step")) == [
        ("student", 0),
        ("teacher", 0),
        ("student", 3),
        ("student", 6),
    ]
    for grid in SampleGrid.objects.all():
        assert (run_folder(run.pk) / grid.path).read_bytes().startswith(b"\x89PNG")
    for row in Checkpoint.objects.all():
        assert (run_folder(run.pk) / row.path).stat().st_size == row.size
    assert newest_whole_checkpoint(run.pk) == attempt_folder(job) / "checkpoints" / "step-000006.safetensors"
    assert json.loads((attempt_folder(job) / "spec.json").read_text()) == job.spec
    assert sequence(job) == list(range(1, job.event_seq + 1))


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_paused_goes_on_where_it_stopped(launch: Any) -> None:
    run = launch(iterations=400, schedule=ScheduleSpec(samples_every=1000, sample_count=20, checkpoint_every=1000))
    with Working():
        wait_for(lambda: Job.objects.get(pk=run.pk).step >= 2, 60, "the run trains")
        job_act(run.job, UserAction.PAUSE, actor="ada")
    paused = Job.objects.get(pk=run.pk)
    assert paused.state == "paused"
    assert 2 <= paused.step < 400
    assert Checkpoint.objects.get().step == paused.step
    job_act(run.job, UserAction.RESUME, actor="ada")
    Job.objects.filter(pk=run.pk).update(spec=paused.spec | {"iterations": paused.step + 2})
    resumed = attempt()
    assert (resumed.state, resumed.attempt) == ("succeeded", 2)
    assert steps() == list(range(1, paused.step + 3))
    assert SampleGrid.objects.filter(step=0, superseded=False).count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_paused_while_it_is_evaluated_goes_on(launch: Any) -> None:
    """The pause saves the step whose own checkpoint is still due."""
    long = EvaluationSpec(every=3, samples=20_000, final_samples=100, teacher_steps=4)
    run = launch(evaluation=long)
    with Working():
        wait_for(lambda: SampleGrid.objects.filter(step=3).exists(), 60, "the samples of step 3, before its evaluation")
        job_act(run.job, UserAction.PAUSE, actor="ada")
    assert Job.objects.get(pk=run.pk).state == "paused"
    assert Checkpoint.objects.get(superseded=False).step == 3
    assert not Evaluation.objects.filter(step=3).exists()
    job_act(run.job, UserAction.RESUME, actor="ada")
    resumed = attempt()
    assert (resumed.state, resumed.reason) == ("succeeded", "")
    assert steps() == [1, 2, 3, 4, 5, 6]
    assert list(Checkpoint.objects.filter(superseded=False).values_list("step", "attempt")) == [(3, 2), (6, 2)]


@pytest.mark.django_db(transaction=True)
def test_a_distillation_whose_trainer_is_killed_is_taken_up_from_its_checkpoint(launch: Any) -> None:
    run = launch(iterations=400, schedule=ScheduleSpec(samples_every=1000, sample_count=20, checkpoint_every=3))
    with Working() as working:
        wait_for(lambda: Checkpoint.objects.exists(), 60, "a first checkpoint")
        working.trainer.kill()
    killed = Job.objects.get(pk=run.pk)
    assert (killed.state, killed.transitions.last().reason) == (  # type: ignore[union-attr]
        "queued",
        "the trainer was killed by SIGKILL",
    )
    last = Checkpoint.objects.order_by("-step").first()
    assert last is not None
    Job.objects.filter(pk=run.pk).update(spec=killed.spec | {"iterations": last.step + 3})
    resumed = attempt()
    assert (resumed.state, resumed.attempt) == ("succeeded", 2)
    assert resumed.events.get(type="started", attempt=2).payload["step"] == last.step
    assert steps() == list(range(1, last.step + 4))


def test_a_distillation_whose_lease_was_lost_is_stopped(launch: Any) -> None:
    run = launch()
    job = claim()
    expire(job)
    assert jobs_reap() == 1
    before = Job.objects.filter(pk=run.pk).values().get()
    run_attempt(job, threading.Event())
    assert Job.objects.filter(pk=run.pk).values().get() == before
    assert not [p for p in psutil.Process().children() if str(attempt_folder(job)) in " ".join(p.cmdline())]


def test_a_checkpoint_that_is_damaged_fails_the_run_and_names_the_file(launch: Any) -> None:
    run = launch()
    assert attempt().state == "succeeded"
    checkpoint = newest_whole_checkpoint(run.pk)
    assert checkpoint is not None
    checkpoint.write_bytes(b"\xff" * checkpoint.stat().st_size)
    Job.objects.filter(pk=run.pk).update(state="queued")
    job = attempt()
    assert job.state == "failed"
    assert str(checkpoint) in job.reason
    assert "truncated or not a checkpoint" in job.reason
    assert "Traceback" not in job.reason
    assert steps() == [1, 2, 3, 4, 5, 6]  # nothing of the first attempt is lost


def test_a_teacher_that_cannot_be_read_fails_the_run_and_is_named(launch: Any, tmp_path: Path) -> None:
    run = launch()
    Job.objects.filter(pk=run.pk).update(spec=run.job.spec | {"teacher": "bundled:unicorn"})
    job = attempt()
    assert job.state == "failed"
    assert "no teacher 'bundled:unicorn'; bundled teachers: bundled:digits" in job.reason


def test_a_specification_that_simcore_refuses_fails_the_run_and_names_the_setting(launch: Any) -> None:
    run = launch()
    Job.objects.filter(pk=run.pk).update(spec=run.job.spec | {"batch_size": 0})
    job = attempt()
    assert job.state == "failed"
    assert "batch_size: Input should be greater than or equal to 1" in job.reason
