"""One participant's trials, with all votes of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from studio.study.models import Participant, Trial, Vote


@dataclass(frozen=True)
class TrialRow:
    """What `study/participant.html` shows. `votes`: the first is the participant's, the last one counts."""

    number: int
    prompt: str
    check: bool
    expected: str
    left: str
    right: str
    votes: list[Vote]

    @property
    def vote(self) -> Vote | None:
        """The one that counts."""
        return self.votes[-1] if self.votes else None

    @property
    def chosen(self) -> str:
        """The arm, of an ordinary trial that has an answer with a preference."""
        if self.check or self.vote is None:
            return ""
        return {"left": self.left, "right": self.right}.get(self.vote.side, "")


def person_trials(person: Participant) -> list[TrialRow]:
    """In the order in which they are shown. Two queries."""
    related = ("prompt", "left__arm", "right__arm")
    trials: Any = Trial.objects.filter(participant=person).select_related(*related)
    votes: dict[int, list[Vote]] = {}
    for vote in Vote.objects.filter(trial__participant=person).select_related("by").order_by("pk"):
        votes.setdefault(vote.trial_id, []).append(vote)
    return [
        TrialRow(
            number=trial.position + 1,
            prompt=trial.prompt.text,
            check=trial.is_check,
            expected=trial.expected,
            left=trial.left.arm.label,
            right=trial.right.arm.label,
            votes=votes.get(trial.pk, []),
        )
        for trial in trials
    ]
