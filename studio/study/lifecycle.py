"""The states of a study and the moves between them: one table."""

from __future__ import annotations

from django.db import models


class StudyState(models.TextChoices):
    """draft → generating → review → open → closed; a closed one may be opened again."""

    DRAFT = "draft", "draft"
    GENERATING = "generating", "generating"
    REVIEW = "review", "in review"
    OPEN = "open", "open"
    CLOSED = "closed", "closed"


MOVES: dict[StudyState, frozenset[StudyState]] = {
    StudyState.DRAFT: frozenset({StudyState.GENERATING, StudyState.REVIEW}),
    StudyState.GENERATING: frozenset({StudyState.REVIEW, StudyState.DRAFT}),
    StudyState.REVIEW: frozenset({StudyState.GENERATING, StudyState.DRAFT, StudyState.OPEN}),
    StudyState.OPEN: frozenset({StudyState.CLOSED}),
    StudyState.CLOSED: frozenset({StudyState.OPEN}),
}


class StudyRefused(ValueError):
    """What was asked of a study cannot be; the message says why, for people. `field`: what it is about, if one."""

    def __init__(self, message: str, field: str = "") -> None:
        self.field = field
        super().__init__(message)


def check_move(old: str, new: StudyState) -> None:
    """Raises StudyRefused for a move that the table does not have."""
    if new not in MOVES[StudyState(old)]:
        raise StudyRefused(f"The study is {StudyState(old).label}: it cannot become {new.label} now.")
