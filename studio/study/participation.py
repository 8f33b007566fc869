"""Taking part: consent, the pair that is next, and the answer to it. What a participant may not do is a VoteRefused."""

from __future__ import annotations

import secrets
from enum import Enum
from http import HTTPStatus
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from studio.accounts.secrets import digest_of
from studio.study.allocation import PromptFacts, Slot, allocate
from studio.study.lifecycle import StudyRefused, StudyState
from studio.study.models import Image, Link, Participant, Side, Study, Trial, Vote
from studio.study.services import study_locked

# No characters that are mistaken for one another.
CODE_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"


class Reason(Enum):
    """Why somebody cannot go on: the answer's status, a title and a sentence for them."""

    UNKNOWN = (404, "No study here", "Nothing belongs to this address. Check that you copied the whole link.")
    REVOKED = (410, "This link was withdrawn", "It no longer leads to a study. Ask whoever sent it for another.")
    EXPIRED = (410, "This link has expired", "Its time is over. Ask whoever sent it for another.")
    USED = (410, "This link was used", "It works once, in the browser that began with it. Go on there.")
    FULL = (403, "This study is full", "As many people as it can take have begun. Thank you for your interest.")
    EARLY = (403, "Not open yet", "This study has not begun. Try the link again later.")
    CLOSED = (403, "This study is closed", "It takes no more answers. Those you gave are kept. Thank you.")
    COOKIES = (
        403,
        "Your browser keeps no cookies",
        "This study needs one, to find your place again. Allow it and begin.",
    )
    STRANGER = (403, "You have not begun here", "This browser has not agreed to take part. Start at the beginning.")
    FORGED = (404, "Not one of your pairs", "Nothing was stored. Go back to the pair that is next.")
    NOT_NEXT = (
        409,
        "Another pair is next",
        "Pairs are answered in their order, so nothing was stored. Go back to the next.",
    )
    ANSWER = (
        422,
        "Not an answer",
        "The answers are the buttons below the images. Nothing was stored. Go back and choose one.",
    )
    TOO_MANY = (429, "Too many requests", "Wait a minute and go on. Nothing is lost.")

    @property
    def status(self) -> HTTPStatus:
        return HTTPStatus(self.value[0])

    @property
    def title(self) -> str:
        return self.value[1]

    @property
    def message(self) -> str:
        return self.value[2]


class VoteRefused(StudyRefused):
    """A participant, or somebody who would be one, cannot do this; nothing has changed."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.message)


def link_check(link: Link, study: Study) -> None:
    """Raises VoteRefused unless somebody may begin by this link now."""
    if link.revoked:
        raise VoteRefused(Reason.REVOKED)
    if study.state == StudyState.CLOSED:
        raise VoteRefused(Reason.CLOSED)
    if link.expires_at is not None and link.expires_at <= timezone.now():
        raise VoteRefused(Reason.EXPIRED)
    if link.cap is not None and link.used >= link.cap:
        raise VoteRefused(Reason.USED if link.personal else Reason.FULL)
    if study.state != StudyState.OPEN:
        raise VoteRefused(Reason.EARLY)


def participant_find(link_token: str, secret: str) -> Participant | None:
    """Who began by this link with this secret; `study` and `link` come with them."""
    found = Participant.objects.filter(link__token=link_token, digest=digest_of(secret))
    return found.select_related("study", "link").first()


def participant_start(link: Link, secret: str) -> Participant:
    """Somebody has consented: they get a number, and their trials are drawn and stored.

    `secret` is their browser's, given to it before; the same one again is the same participant, so that a form sent
    twice uses a personal link up once. Raises VoteRefused.
    """
    with transaction.atomic():
        study = study_locked(link.study_id)  # one after the other: numbers, caps and pairs hold
        link = Link.objects.get(pk=link.pk)
        if (known := participant_find(link.token, secret)) is not None:
            return known
        link_check(link, study)
        if Participant.objects.filter(digest=digest_of(secret)).exists():  # of another link: no browser sends that
            raise VoteRefused(Reason.COOKIES)
        study.started += 1
        study.save(update_fields=["started"])
        link.used += 1
        link.save(update_fields=["used"])
        participant = Participant.objects.create(study=study, link=link, number=study.started, digest=digest_of(secret))
        Trial.objects.bulk_create(_trials(participant, study))
    return participant


def allocation_key(study: Study) -> int:
    """Seeds a study's draws. The server's key is in it: else sides could be computed from the order and the seed."""
    return int.from_bytes(
        salted_hmac("studio.study.allocation", f"{study.pk}:{study.seed}", algorithm="sha256").digest()
    )


def study_slots(study: Study, number: int) -> tuple[list[Slot], dict[tuple[int, int], Image]]:
    """What participant `number` sees, and the images by prompt and arm, both counted from 0."""
    prompts = list(study.prompts.order_by("position"))
    place = {prompt.pk: position for position, prompt in enumerate(prompts)}
    current = Image.objects.filter(prompt__study=study, superseded=False).select_related("arm", "prompt")
    images = {(place[image.prompt_id], image.arm.position): image for image in current}
    facts = [PromptFacts(prompt.text, prompt.label) for prompt in prompts]
    return allocate(allocation_key(study), number, facts, study.checks), images


def _trials(participant: Participant, study: Study) -> list[Trial]:
    slots, images = study_slots(study, participant.number)
    return [
        Trial(
            participant=participant,
            position=position,
            prompt=images[slot.prompt, 0].prompt,
            left=images[slot.left],
            right=images[slot.right],
            expected="" if slot.expected_left is None else Side.LEFT if slot.expected_left else Side.RIGHT,
        )
        for position, slot in enumerate(slots)
    ]


def current_trial(participant: Participant) -> Trial | None:
    """The first without an answer; None once all have one."""
    waiting = participant.trials.filter(votes__isnull=True).order_by("position")
    return waiting.select_related("prompt", "left", "right").first()


def trial_shown(trial: Trial) -> None:
    """The pair is on its way to the participant; the first time counts."""
    if trial.shown_at is None:
        Trial.objects.filter(pk=trial.pk, shown_at__isnull=True).update(shown_at=timezone.now())


def answers_of(study: Study) -> list[Side]:
    """What a participant may say."""
    return [Side.LEFT, Side.RIGHT, Side.NONE] if study.no_preference else [Side.LEFT, Side.RIGHT]


def vote_cast(participant: Participant, trial_key: str, side: str) -> None:
    """Store the answer to the pair that is next; after the last, the participant has finished and gets a code.

    The first answer counts: another one to the same trial changes nothing. Raises VoteRefused.
    """
    with transaction.atomic():
        study = study_locked(participant.study_id)  # it cannot close in between
        trial = participant.trials.filter(key=_key(trial_key)).first()
        if trial is None:
            raise VoteRefused(Reason.FORGED)
        if trial.votes.exists():
            return
        if study.state != StudyState.OPEN:
            raise VoteRefused(Reason.CLOSED)
        waiting = list(participant.trials.filter(votes__isnull=True).order_by("position").values_list("pk", flat=True))
        if trial.pk != waiting[0]:
            raise VoteRefused(Reason.NOT_NEXT)
        if side not in answers_of(study):
            raise VoteRefused(Reason.ANSWER)
        seconds = (timezone.now() - trial.shown_at).total_seconds() if trial.shown_at else None
        Vote.objects.create(trial=trial, side=side, seconds=seconds)
        if len(waiting) == 1:
            participant.finished_at, participant.completion_code = timezone.now(), _new_code()
            participant.save(update_fields=["finished_at", "completion_code"])


def _key(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise VoteRefused(Reason.FORGED) from None


def _new_code() -> str:
    letters = "".join(secrets.choice(CODE_LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"
