"""A run's log as one text, read while it is sent: it may be larger than the memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from studio.runs.distillation import run_folder
from studio.runs.models import Run

SHOWN_TYPES = ("log", "state", "failed", "finished", "stopped", "checkpoint", "started")
CHUNK = 1_000  # events at once
LONGEST_PIECE = 2**16  # characters


def log_lines(run: Run) -> Iterator[str]:
    """The events worth reading, in order, then what each attempt's trainer wrote to standard error.

    Each ends with its line's end; a line of more than LONGEST_PIECE characters comes in pieces.
    """
    rows = run.job.events.filter(type__in=SHOWN_TYPES).order_by("seq")
    for row in rows.iterator(CHUNK):
        yield f"{row.at:%Y-%m-%d %H:%M:%S} attempt {row.attempt} {_text(row.type, row.payload)}\n"
    for path in sorted((run_folder(run.pk) / "attempts").glob("*/stderr.log")):
        yield from _standard_error(path)


def _standard_error(path: Path) -> Iterator[str]:
    """A heading and the file; nothing where it is empty."""
    with path.open(errors="replace") as file:
        piece = file.readline(LONGEST_PIECE)
        if not piece:
            return
        yield f"\nstandard error of attempt {path.parent.name}:\n"
        while piece:
            last, piece = piece, file.readline(LONGEST_PIECE)
            yield last
        if not last.endswith("\n"):
            yield "\n"


def _text(kind: str, payload: dict[str, object]) -> str:
    if kind == "log":
        return f"{payload['level']}: {payload['message']}"
    if kind == "state":
        reason = f" ({payload['reason']})" if payload["reason"] else ""
        return f"{payload['from_label']} → {payload['to_label']}{reason}, by {payload['actor']}"
    if kind == "failed":
        return f"failed at step {payload['step']}: {payload['reason']}"
    return f"{kind} at step {payload['step']}"
