"""Start the studio's processes, keep them alive, and stop them in order."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from studio.environment import PROJECT, EnvironmentProblem

MOST_RESTARTS = 5
RESTART_WINDOW = 60.0
PR_SET_PDEATHSIG = 1


@dataclass
class Program:
    """One process to keep alive. It leads a session of its own, so that Ctrl-C reaches the supervisor alone."""

    name: str
    command: list[str]
    stop_seconds: float
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    starts: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_RESTARTS))

    def start(self) -> None:
        self.starts.append(time.monotonic())
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=PROJECT,
                start_new_session=True, env={**os.environ, **self.environment}, preexec_fn=_die_with_supervisor,
            )  # fmt: skip

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def keeps_dying(self) -> bool:
        return len(self.starts) == MOST_RESTARTS and time.monotonic() - self.starts[0] < RESTART_WINDOW

    def terminate(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()

    def wait_until_ended(self) -> None:
        """Wait for `stop_seconds`, then end the whole group."""
        if self.process is None:
            return
        try:
            self.process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            print(f"{self.name} did not stop in {self.stop_seconds:.0f} s and is ended", file=sys.stderr)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _die_with_supervisor() -> None:
    """On Linux: end the child, too, where the supervisor itself is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """Runs programs until SIGINT or SIGTERM; stops them in reverse order of stages."""

    def __init__(self) -> None:
        self._stages: list[list[Program]] = []
        self.stopping = False

    def __enter__(self) -> Supervisor:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._request_stop)
        return self

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def start(self, *programs: Program) -> None:
        """Start one more stage."""
        self._stages.append(list(programs))
        for program in programs:
            program.start()

    def watch(self) -> None:
        """Restart what ends by itself, until asked to stop. Raises EnvironmentProblem where one keeps ending."""
        while not self.stopping:
            time.sleep(0.2)
            for program in [program for stage in self._stages for program in stage]:
                if program.ended() and not self.stopping:
                    self._restart(program)

    def _restart(self, program: Program) -> None:
        assert program.process is not None
        if program.keeps_dying():
            raise EnvironmentProblem(f"{program.name} keeps ending; the reason is at the end of {program.log}")
        code = program.process.returncode
        print(f"{program.name} ended (exit code {code}) and is started again; log: {program.log}", file=sys.stderr)
        program.start()

    def __exit__(self, *_: object) -> None:
        for stage in reversed(self._stages):
            for program in stage:
                program.terminate()
            for program in stage:
                program.wait_until_ended()
