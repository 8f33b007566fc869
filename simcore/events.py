"""The typed messages that a trainer emits, one JSON object a line. Torch-free.

`step` counts finished iterations: step 0 is the state before training. Paths are relative to the run folder.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Event(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Started(_Event):
    """Training begins, or goes on from a checkpoint of `step` where it is `resumed`.

    What was recorded past that step, or everything where nothing was resumed, is going to be recorded anew.
    """

    type: Literal["started"] = "started"
    step: int
    resumed: bool = False
    total_steps: int
    device: str


class Metrics(_Event):
    """Scalars of one iteration, by name: losses, gradient norms, seconds_per_iteration."""

    type: Literal["metrics"] = "metrics"
    step: int
    values: dict[str, float]


class Samples(_Event):
    """A grid of images, or with 0 columns a scatter plot of points, from the run's fixed latents."""

    type: Literal["samples"] = "samples"
    step: int
    source: Literal["student", "teacher"]
    path: str
    count: int
    columns: int
    nfe: int


class Checkpoint(_Event):
    """A complete training state on disk."""

    type: Literal["checkpoint"] = "checkpoint"
    step: int
    path: str
    size: int
    sha256: str


class Evaluation(_Event):
    """Figures of merit, by the names of `simcore.figures`."""

    type: Literal["evaluation"] = "evaluation"
    step: int
    source: Literal["student", "teacher"]
    values: dict[str, float]
    samples: int
    nfe: int


class Log(_Event):
    """A line for the reader."""

    type: Literal["log"] = "log"
    level: Literal["info", "warning", "error"] = "info"
    message: str


class Finished(_Event):
    """Training reached its last step; `summary` is the line that the command prints last."""

    type: Literal["finished"] = "finished"
    step: int
    summary: dict[str, Any]


class Stopped(_Event):
    """Training stopped on request at `step`; with `pause` a checkpoint of that step was written before."""

    type: Literal["stopped"] = "stopped"
    step: int
    reason: Literal["pause", "cancel"]


class Failed(_Event):
    """Training cannot go on; `reason` is for the user, `part` names the loss or stage."""

    type: Literal["failed"] = "failed"
    step: int
    reason: str
    part: str = ""


Event = Annotated[
    Started | Metrics | Samples | Checkpoint | Evaluation | Log | Finished | Stopped | Failed,
    Field(discriminator="type"),
]

_adapter: TypeAdapter[Event] = TypeAdapter(Event)


def parse_event(line: str | bytes) -> Event:
    """Read one line of an event stream. Raises pydantic.ValidationError on anything else."""
    return _adapter.validate_json(line)


def event_line(event: Event) -> str:
    """Write one event as a line, without the line end."""
    return event.model_dump_json()
