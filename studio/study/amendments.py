"""What researchers may do to results: exclude a participant, restore them, correct a vote. Nothing is deleted."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from studio.accounts.models import User
from studio.study.lifecycle import StudyRefused
from studio.study.models import Exclusion, Participant, Side, Vote
from studio.study.participation import answers_of
from studio.study.services import study_locked, study_note

MOST_REASON = 1000


def participant_exclude(participant: Participant, actor: User, reason: str) -> Exclusion:
    """Leave somebody out of the results. Raises StudyRefused where no reason is given, or they are out already."""
    reason = _reason(reason)
    with transaction.atomic():
        study = study_locked(participant.study_id)
        if participant.exclusions.filter(lifted_at=None).exists():
            raise StudyRefused(f"Participant {participant.number} is excluded already.")
        exclusion = Exclusion.objects.create(participant=participant, reason=reason, by=actor)
        what = f"excluded participant {participant.number}"
        study_note(study, actor.get_username(), what, participant=participant.number, reason=reason)
    return exclusion


def participant_restore(participant: Participant, actor: User, reason: str) -> None:
    """Count them again; the exclusion stays on record as lifted. Raises StudyRefused."""
    reason = _reason(reason)
    with transaction.atomic():
        study = study_locked(participant.study_id)
        lifted = participant.exclusions.filter(lifted_at=None).update(lifted_by=actor, lifted_at=timezone.now())
        if not lifted:
            raise StudyRefused(f"Participant {participant.number} is not excluded.")
        what = f"restored participant {participant.number}"
        study_note(study, actor.get_username(), what, participant=participant.number, reason=reason)


def vote_correct(vote: Vote, side: str, actor: User, reason: str) -> Vote:
    """A new row that replaces the vote, with the participant's time. Raises StudyRefused.

    `side`: "left", "right", or "none" where the study offers it.
    """
    reason = _reason(reason)
    participant = vote.trial.participant
    with transaction.atomic():
        study = study_locked(participant.study_id)
        if side not in (offered := answers_of(study)):
            raise StudyRefused(f"An answer is one of {', '.join(offered)}.", "side")
        if Vote.objects.filter(replaces=vote).exists():
            raise StudyRefused("This vote was corrected meanwhile: look at the newest one.")
        if side == vote.side:
            raise StudyRefused(f"The vote is “{Side(side).label}” already.", "side")
        corrected = Vote.objects.create(
            trial=vote.trial, side=side, seconds=vote.seconds, replaces=vote, by=actor, reason=reason
        )
        study_note(
            study, actor.get_username(), f"corrected a vote of participant {participant.number}",
            participant=participant.number, trial=vote.trial.position + 1, before=vote.side, after=side, reason=reason,
        )  # fmt: skip
    return corrected


def _reason(text: str) -> str:
    reason = text.replace("\0", "").strip()  # PostgreSQL refuses NUL in a text
    if not reason:
        raise StudyRefused("Say why: the reason is published with the results.", "reason")
    if len(reason) > MOST_REASON:
        raise StudyRefused(f"A reason has at most {MOST_REASON} characters.", "reason")
    return reason
