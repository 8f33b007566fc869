"""The states of a job and the moves between them. A move that is not in the table raises."""

from __future__ import annotations

from django.db.models import TextChoices


class JobState(TextChoices):
    QUEUED = "queued", "queued"
    STARTING = "starting", "starting"
    RUNNING = "running", "running"
    PAUSING = "pausing", "pausing"
    PAUSED = "paused", "paused"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


class RequestedAction(TextChoices):
    """What people ask of a job that a worker holds."""

    PAUSE = "pause", "pausing"
    CANCEL = "cancel", "cancelling"
    CHECKPOINT = "checkpoint", "saving a checkpoint"


S = JobState
HELD_STATES = (S.STARTING, S.RUNNING, S.PAUSING)
ENDED_STATES = (S.SUCCEEDED, S.FAILED, S.CANCELLED)

MOVES: dict[JobState, frozenset[JobState]] = {
    S.QUEUED: frozenset({S.STARTING, S.PAUSED, S.CANCELLED}),
    # Back to queued: the worker stopped or was lost.
    S.STARTING: frozenset({S.RUNNING, S.PAUSING, S.QUEUED, S.FAILED, S.CANCELLED}),
    S.RUNNING: frozenset({S.PAUSING, S.SUCCEEDED, S.FAILED, S.CANCELLED, S.QUEUED}),
    S.PAUSING: frozenset({S.PAUSED, S.SUCCEEDED, S.FAILED, S.CANCELLED, S.QUEUED}),
    S.PAUSED: frozenset({S.QUEUED, S.CANCELLED}),
    S.FAILED: frozenset({S.QUEUED}),
    S.CANCELLED: frozenset({S.QUEUED}),
    S.SUCCEEDED: frozenset(),
}


class IllegalMove(ValueError):
    """A job cannot go from its state to the one asked for."""

    def __init__(self, from_state: str, to_state: str) -> None:
        super().__init__(f"a job that is {from_state} cannot become {to_state}")


def check_move(from_state: str, to_state: str) -> None:
    """Raises IllegalMove unless the table allows the move."""
    if JobState(to_state) not in MOVES[JobState(from_state)]:
        raise IllegalMove(from_state, to_state)


class UserAction(TextChoices):
    """What people can do to a job."""

    PAUSE = "pause", "Pause"
    RESUME = "resume", "Resume"
    CHECKPOINT = "checkpoint", "Checkpoint now"
    CANCEL = "cancel", "Cancel"
    RETRY = "retry", "Retry"


ACTIONS: dict[JobState, tuple[UserAction, ...]] = {
    S.QUEUED: (UserAction.PAUSE, UserAction.CANCEL),
    S.STARTING: (UserAction.PAUSE, UserAction.CANCEL),
    S.RUNNING: (UserAction.PAUSE, UserAction.CHECKPOINT, UserAction.CANCEL),
    S.PAUSING: (UserAction.CANCEL,),
    S.PAUSED: (UserAction.RESUME, UserAction.CANCEL),
    S.FAILED: (UserAction.RETRY,),
    S.CANCELLED: (UserAction.RETRY,),
    S.SUCCEEDED: (),
}
