"""One attempt at a job: start its trainer, store what it says, pass on what people ask, and say how it ended."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from django.conf import settings
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError, connections
from pydantic import ValidationError

from simcore.events import Checkpoint, Event, Failed, Finished, Log, Stopped, parse_event
from studio.jobs.kinds import kind_of
from studio.jobs.lifecycle import IllegalMove, JobState, RequestedAction
from studio.jobs.models import Job
from studio.jobs.services import LeaseLost, job_end, job_interrupted, job_record, job_renew
from studio.pool.placement import allocated_uuids
from studio.runs.retention import checkpoints_tidy
from workers.devices import visible_devices
from workers.trainer_process import TrainerProcess

logger = logging.getLogger(__name__)

BATCH_SECONDS = 0.1
BATCH_EVENTS = 500
BEAT_SECONDS = 1.0
LOG_TAIL_BYTES = 2_000
PATIENCE_SECONDS = 120.0
RETRY_SECONDS = 1.0

Result = TypeVar("Result")


def run_attempt(job: Job, stopping: threading.Event) -> None:
    """Work on a claimed job until it ends, is taken away, or `stopping` is set."""
    assert job.lease_token is not None
    folder = attempt_folder(job)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lease_kept(job.pk, job.lease_token):  # large checkpoints take minutes to check
            arguments = kind_of(job).prepare(job, folder)
        devices = {"CUDA_VISIBLE_DEVICES": visible_devices(allocated_uuids(job))}
        with TrainerProcess(arguments, stderr=folder / "stderr.log", environment=devices) as trainer:
            Attempt(job.pk, job.lease_token, trainer, folder / "stderr.log", stopping).follow()
    except LeaseLost:
        logger.warning("job %s: the lease was lost; the trainer is stopped", job.pk)
    except DatabaseError:
        raise  # nothing can be said of the job now; its lease runs out
    except OSError as error:
        reason = f"the attempt's folder {folder} cannot be used: {error.strerror or error}"
        logger.error("job %s: %s", job.pk, reason)
        job_end(job.pk, job.lease_token, JobState.FAILED, reason=reason)
    except Exception as error:
        logger.exception("job %s: its attempt broke", job.pk)
        reason = f"the worker met an unexpected {type(error).__name__}: {error}"
        job_end(job.pk, job.lease_token, JobState.FAILED, reason=reason)


def attempt_folder(job: Job) -> Path:
    """Where this attempt writes, and nowhere else."""
    return Path(settings.RUNS_FOLDER) / str(job.pk) / "attempts" / str(job.attempt)


@contextlib.contextmanager
def lease_kept(job_id: int, token: uuid.UUID) -> Iterator[None]:
    """Renew the lease from a thread while the block works; whoever writes next finds out where it was lost."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(settings.LEASE_SECONDS / 3):
            try:
                job_renew(job_id, token)
            except LeaseLost:
                break
            except DatabaseError as error:
                logger.warning("job %s: the lease could not be renewed: %s", job_id, error)
        connections.close_all()

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class Attempt:
    """The pump between a trainer and the job's rows."""

    def __init__(
        self, job_id: int, token: uuid.UUID, trainer: TrainerProcess, stderr: Path, stopping: threading.Event
    ) -> None:
        self._job_id, self._token = job_id, token
        self._trainer, self._stderr, self._stopping = trainer, stderr, stopping
        self._pending: list[Event] = []
        self._last: Event | None = None
        self._requested = ""  # by people, as stored
        self._asked = ""  # of the trainer, last
        self._stored_at = self._heard_at = time.monotonic()
        self._kill_at = float("inf")
        self._hung = False

    def follow(self) -> None:
        """Pump until the trainer's pipe closes, then end the job. Raises LeaseLost."""
        try:
            self._pump()
        except (IllegalMove, IntegrityError, DataError) as error:
            logger.exception("job %s: its trainer said what cannot be", self._job_id)
            self._job_end(JobState.FAILED, reason=f"the trainer said what cannot be: {error}")

    def _pump(self) -> None:
        while (lines := self._trainer.read_lines(self._patience())) is not None:
            self._take(lines)
            if self._due():
                self._store()
            self._pass_on()
            self._watch()
        self._store()
        self._end(self._trainer.exit_code())

    # ---- events in

    def _patience(self) -> float:
        wait = BATCH_SECONDS if self._pending else BEAT_SECONDS
        return max(0.0, self._stored_at + wait - time.monotonic())

    def _take(self, lines: list[bytes]) -> None:
        for line in lines:
            self._heard_at = time.monotonic()
            try:
                self._last = parse_event(line)
            except ValidationError:
                self._last = Log(level="warning", message=_text(line)[:2000])
            self._pending.append(self._last)

    def _due(self) -> bool:
        return self._patience() == 0.0 or len(self._pending) >= BATCH_EVENTS

    def _store(self) -> None:
        if self._pending:
            self._requested = _patiently(lambda: job_record(self._job_id, self._token, self._pending))
            has_checkpoint = any(isinstance(event, Checkpoint) for event in self._pending)
            self._pending = []
            if has_checkpoint:
                checkpoints_tidy(self._job_id, self._token)
        else:
            self._requested = _patiently(lambda: job_renew(self._job_id, self._token))
        self._stored_at = time.monotonic()

    # ---- requests out

    def _pass_on(self) -> None:
        action = RequestedAction.PAUSE.value if self._stopping.is_set() and not self._requested else self._requested
        if action == self._asked:
            return
        self._asked = action
        if action:
            self._trainer.ask(action)
        if action == RequestedAction.CANCEL or self._stopping.is_set():
            self._kill_at = min(self._kill_at, time.monotonic() + settings.STOP_SECONDS)

    def _watch(self) -> None:
        """Kill a trainer that is hung, or that does not stop in time."""
        now = time.monotonic()
        self._hung = now - self._heard_at > settings.STALL_SECONDS
        if self._hung or now > self._kill_at:
            self._trainer.kill()

    # ---- the end

    def _end(self, exit_code: int) -> None:
        last = self._last
        if isinstance(last, Finished):
            self._job_end(JobState.SUCCEEDED, result=last.summary)
        elif isinstance(last, Failed):
            self._job_end(JobState.FAILED, reason=last.reason)
        elif self._requested == RequestedAction.CANCEL:
            self._job_end(JobState.CANCELLED)
        elif self._stopping.is_set() and self._requested != RequestedAction.PAUSE:
            self._job_end(JobState.QUEUED, reason="its worker was stopped")
        elif isinstance(last, Stopped):
            self._job_end(JobState.PAUSED)
        elif self._hung:
            self._job_end(JobState.FAILED, reason=f"the trainer said nothing for {settings.STALL_SECONDS:.0f} s")
        elif exit_code < 0:
            name = signal.Signals(-exit_code).name
            reason = f"the trainer was killed by {name}"
            _patiently(lambda: job_interrupted(self._job_id, self._token, reason=reason))
        else:
            reason = f"the trainer ended with exit code {exit_code}: {self._log_tail()}"
            self._job_end(JobState.FAILED, reason=reason)

    def _job_end(self, state: JobState, *, reason: str = "", result: dict[str, object] | None = None) -> None:
        _patiently(lambda: job_end(self._job_id, self._token, state, reason=reason, result=result))

    def _log_tail(self) -> str:
        with self._stderr.open("rb") as file:
            file.seek(max(0, self._stderr.stat().st_size - LOG_TAIL_BYTES))
            return _text(file.read()).strip()


def _patiently(call: Callable[[], Result]) -> Result:
    """What `call` returns. A database that is away for a while does not cost the trainer its work.

    Meanwhile the trainer waits at its full pipe. Raises LeaseLost when the database stays away.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return call()
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() > until:
                raise LeaseLost from error
            logger.warning("the database cannot be reached, trying again: %s", error)
            connections.close_all()
            time.sleep(RETRY_SECONDS)


def _text(data: bytes) -> str:
    """Readable whatever it was; PostgreSQL refuses NUL."""
    return data.decode(errors="replace").replace("\0", "")
