"""The checkpoints that arms show: their run's schedule does not remove them."""

from __future__ import annotations

from collections.abc import Iterable

from studio.runs.models import Checkpoint
from studio.study.lifecycle import StudyRefused


def checkpoint_keep(checkpoint: Checkpoint) -> None:
    """From now on it stays. Raises StudyRefused where it has gone."""
    if not Checkpoint.objects.filter(pk=checkpoint.pk, removed=False).update(kept=True):
        raise StudyRefused("The checkpoint has just been removed to save space: choose another.", "checkpoint")


def checkpoints_release(ids: Iterable[int]) -> None:
    """Of these the ones that no arm shows follow their run's schedule again."""
    Checkpoint.objects.filter(pk__in=list(ids), arms__isnull=True).update(kept=False)
