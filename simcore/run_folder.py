"""A run's folder: spec.json, events.jsonl, samples, checkpoints. Torch-free."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from simcore.config import Spec
from simcore.events import Checkpoint, Event, Finished, Metrics, event_line, parse_event

SpecType = TypeVar("SpecType", bound=Spec)


class EventLog:
    """events.jsonl, one event a line, flushed each."""

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir / "events.jsonl"

    def append(self, event: Event) -> None:
        """Add one event. Raises OSError."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(event_line(event) + "\n")

    def read(self) -> list[Event]:
        """All events up to a line that a kill cut short."""
        events: list[Event] = []
        if self.path.is_file():
            for line in self.path.read_bytes().splitlines():
                try:
                    events.append(parse_event(line))
                except ValidationError:
                    break
        return events

    def rewind(self, step: int | None) -> None:
        """Forget what was done after the last checkpoint of `step`, or everything: it will be done again."""
        kept = [] if step is None else _up_to(self.read(), step)
        text = "".join(event_line(event) + "\n" for event in kept)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self.path)

    def summary(self) -> dict[str, Any] | None:
        """The summary of a finished run."""
        return next((event.summary for event in reversed(self.read()) if isinstance(event, Finished)), None)


def _up_to(events: list[Event], step: int) -> list[Event]:
    past = (place for place, event in enumerate(events) if isinstance(event, Metrics) and event.step > step)
    kept = events[: next(past, None)]
    # A kill may have come between the checkpoint and its event; then nothing follows it either.
    marks = [place for place, event in enumerate(kept, 1) if isinstance(event, Checkpoint) and event.step == step]
    return kept[: marks[-1]] if marks else kept


def write_spec(run_dir: Path, spec: Spec) -> None:
    """Store the run's specification. Raises OSError."""
    (run_dir / "spec.json").write_text(spec.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_spec(run_dir: Path, kind: type[SpecType]) -> SpecType | None:
    """The folder's specification; None where it holds no run. Raises ValueError where it is damaged or another's."""
    path = run_dir / "spec.json"
    if not path.is_file():
        return None
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError:
        raise ValueError(f"{path} is not a readable run specification; choose another folder") from None
