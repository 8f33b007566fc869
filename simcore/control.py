"""Requests from outside to a running trainer. Torch-free."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections import deque
from io import FileIO
from types import FrameType
from typing import Literal, Protocol, cast

Request = Literal["pause", "cancel", "checkpoint"]
REQUESTS = ("pause", "cancel", "checkpoint")
EXIT_ORPHANED = 3


class Control(Protocol):
    """Where a trainer asks, between steps, what is wanted of it."""

    def poll(self) -> Request | None:
        """The next request, or None."""
        ...


class NoControl:
    """Nobody asks for anything."""

    def poll(self) -> Request | None:
        return None


class PipeControl:
    """Requests as lines of a pipe. When the pipe closes, whoever started us is gone: the process ends at once."""

    def __init__(self, descriptor: int) -> None:
        self._requests: deque[Request] = deque()
        self._closing = False
        # Unbuffered: a thread waiting in a buffered reader would hold its lock, and Python could not shut down.
        pipe = FileIO(descriptor, "rb", closefd=False)
        threading.Thread(target=self._read, args=(pipe,), daemon=True, name="control").start()

    def poll(self) -> Request | None:
        return self._requests.popleft() if self._requests else None

    def close(self) -> None:
        """From here on a closed pipe is no reason to end: the work is done."""
        self._closing = True

    def _read(self, pipe: FileIO) -> None:
        for line in iter(pipe.readline, b""):
            request = line.decode(errors="replace").strip()
            if request in REQUESTS:
                self._requests.append(cast(Request, request))
            elif request:
                print(f"unknown request '{request}' ignored; known: {', '.join(REQUESTS)}", file=sys.stderr)
        if not self._closing:
            os._exit(EXIT_ORPHANED)


def end_with_pipe(descriptor: int) -> None:
    """From now on, end this process when the pipe's other end closes. Reads nothing from it."""

    def watch() -> None:
        poll = select.poll()
        poll.register(descriptor, 0)  # hang-up and error only
        poll.poll()
        os._exit(EXIT_ORPHANED)

    threading.Thread(target=watch, daemon=True, name="control").start()


class InterruptControl:
    """Ctrl-C or SIGTERM (torchrun's answer to Ctrl-C) pauses: a checkpoint is written. A second Ctrl-C ends at once."""

    def __init__(self) -> None:
        self._interrupted = False
        signal.signal(signal.SIGINT, self._interrupt)
        signal.signal(signal.SIGTERM, self._interrupt)

    def poll(self) -> Request | None:
        return "pause" if self._interrupted else None

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupted = True
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)
