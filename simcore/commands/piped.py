"""Events on stdout and requests on stdin: how the studio's worker runs a command."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator

from simcore.commands.common import CommandError
from simcore.control import EXIT_ORPHANED, Control, PipeControl
from simcore.events import Event, Failed, Finished, Stopped, event_line

EXIT_FAILED = 1


def run_piped(events: Callable[[Control], Iterator[Event]]) -> int:
    """Send the events that `events` yields; the exit code. Whoever closes the pipe ends the process.

    An error that is for the user (CommandError, ValueError, OSError, RuntimeError) becomes the last event, Failed,
    unless `events` has yielded one itself.
    """
    # Ctrl-C in the terminal goes to the whole group, and whoever holds the pipe decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = PipeControl(sys.stdin.fileno())
    # Nothing but events may reach the pipe, whatever a library prints.
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    failed = False

    def send(event: Event) -> None:
        nonlocal failed
        failed = failed or isinstance(event, Failed)
        if isinstance(event, (Finished, Stopped, Failed)):
            control.close()
        pipe.write(event_line(event) + "\n")
        pipe.flush()

    try:
        try:
            for event in events(control):
                send(event)
        except BrokenPipeError:
            raise
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            if not failed:
                send(Failed(step=0, reason=reason_of(error)))
    except BrokenPipeError:
        os._exit(EXIT_ORPHANED)
    return EXIT_FAILED if failed else 0


def reason_of(error: Exception) -> str:
    """Why it failed, for the user."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    expected = isinstance(error, (CommandError, RuntimeError, ValueError, OSError)) and str(error)
    return str(error) if expected else f"unexpected {type(error).__name__}: {error}"
