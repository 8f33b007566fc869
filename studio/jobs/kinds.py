"""What a kind of job must say about itself. The apps that own a kind register it when Django starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from simcore.events import Event
from studio.jobs.models import Job


class JobKind(Protocol):
    """A kind of work: how to start it, and what its events mean."""

    name: str
    queue: str

    def prepare(self, job: Job, folder: Path) -> list[str]:
        """Fill the attempt's folder and return the arguments for `python -m simcore`."""

    def project(self, job: Job, events: Sequence[Event]) -> list[dict[str, Any]]:
        """Store what the events say, in the caller's transaction; return the payloads to keep and publish."""


_kinds: dict[str, JobKind] = {}


def register(kind: JobKind) -> None:
    """Make a kind known, once."""
    _kinds[kind.name] = kind


def kind_of(job: Job) -> JobKind:
    """The kind of a job. Raises KeyError for an unregistered one."""
    return _kinds[job.kind]
