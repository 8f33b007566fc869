"""A trainer as a process group of its own, with one pipe for its events and one for requests.

The trainer ends when its request pipe closes, so a worker that is killed leaves no orphan.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from studio.environment import PROJECT

SIMCORE = (sys.executable, "-m", "simcore")
EXIT_SECONDS = 5.0


class TrainerProcess:
    """Context manager: started on entry, certainly dead on exit."""

    def __init__(
        self,
        arguments: list[str],
        stderr: Path,
        program: tuple[str, ...] = SIMCORE,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._arguments = [*program, *arguments]
        self._stderr = stderr
        self._environment = environment or {}
        self._unfinished_line = b""

    def __enter__(self) -> TrainerProcess:
        with self._stderr.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=PROJECT,
                env={**os.environ, **self._environment},
                start_new_session=True,
                bufsize=0,
            )
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def read_lines(self, timeout: float) -> list[bytes] | None:
        """Whole lines that arrived within `timeout` seconds; None once the trainer has closed its pipe."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        if not select.select([descriptor], [], [], timeout)[0]:
            return []
        data = os.read(descriptor, 1 << 20)
        if not data:
            return None
        *lines, self._unfinished_line = (self._unfinished_line + data).split(b"\n")
        return lines

    def ask(self, action: str) -> None:
        """Pass a request on: pause, cancel or checkpoint. A trainer that has just ended does not hear it."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{action}\n".encode())

    def kill(self) -> None:
        """End the whole process group at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def exit_code(self) -> int:
        """Wait for the end, and see to it where it does not come; negative: the signal that killed it."""
        try:
            return self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()
