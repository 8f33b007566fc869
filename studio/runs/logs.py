"""A run's log as one text."""

from __future__ import annotations

from studio.runs.distillation import run_folder
from studio.runs.models import Run

SHOWN_TYPES = ("log", "state", "failed", "finished", "stopped", "checkpoint", "started")


def full_log(run: Run) -> str:
    """The events worth reading, in order, then what each attempt's trainer wrote to standard error."""
    rows = run.job.events.filter(type__in=SHOWN_TYPES).order_by("seq")
    lines = [f"{row.at:%Y-%m-%d %H:%M:%S} attempt {row.attempt} {_text(row.type, row.payload)}" for row in rows]
    for path in sorted((run_folder(run.pk) / "attempts").glob("*/stderr.log")):
        if text := path.read_text(errors="replace").strip():
            lines += ["", f"standard error of attempt {path.parent.name}:", text]
    return "\n".join(lines) + "\n"


def _text(kind: str, payload: dict[str, object]) -> str:
    if kind == "log":
        return f"{payload['level']}: {payload['message']}"
    if kind == "state":
        reason = f" ({payload['reason']})" if payload["reason"] else ""
        return f"{payload['from_label']} → {payload['to_label']}{reason}, by {payload['actor']}"
    if kind == "failed":
        return f"failed at step {payload['step']}: {payload['reason']}"
    return f"{kind} at step {payload['step']}"
