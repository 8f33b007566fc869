"""The links by which people come to a study: one open to all, and personal ones that work once."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from studio.accounts.models import User
from studio.study.exports import guarded
from studio.study.lifecycle import StudyRefused
from studio.study.models import Link, Participant, Study
from studio.study.services import study_locked, study_note

MOST_AT_ONCE = 500
MOST_LINKS = 10_000


@dataclass(frozen=True)
class Turnout:
    """How many people began and how many answered everything."""

    started: int
    finished: int


def study_turnout(study: Study) -> Turnout:
    people = Participant.objects.filter(study=study)
    counts = people.aggregate(started=Count("pk"), finished=Count("pk", filter=Q(finished_at__isnull=False)))
    return Turnout(**counts)


def open_link(study: Study) -> Link | None:
    """The open link that works; None where there is none."""
    return study.links.filter(personal=False, revoked=False).order_by("-pk").first()


def personal_links(study: Study) -> QuerySet[Link, Any]:
    """Newest first; `finished`: how many answered everything, 0 or 1."""
    finished = Count("participants", filter=Q(participants__finished_at__isnull=False))
    return study.links.filter(personal=True).annotate(finished=finished).order_by("-pk")


def open_link_set(study: Study, actor: User, *, cap: int | None = None, expires_at: datetime | None = None) -> Link:
    """Make the open link, or change how many may begin by the one there is, and until when. Raises StudyRefused."""
    _check_expiry(expires_at)
    with transaction.atomic():
        study = study_locked(study.pk)
        link = open_link(study) or Link(study=study)
        made = link.pk is None
        if cap is not None and cap < max(1, link.used):
            raise StudyRefused(f"{link.used} have begun by this link already: the cap cannot be {cap}.", "cap")
        link.cap, link.expires_at = cap, expires_at
        link.save()
        until = expires_at.isoformat() if expires_at else None
        what = "made the open link" if made else "changed the open link"
        study_note(study, actor.get_username(), what, cap=cap, expires_at=until)
    return link


def personal_links_create(
    study: Study, actor: User, *, notes: Sequence[str], expires_at: datetime | None = None
) -> list[Link]:
    """One personal link for each note, which may be empty. Raises StudyRefused for none or too many."""
    _check_expiry(expires_at)
    if not 1 <= len(notes) <= MOST_AT_ONCE:
        raise StudyRefused(f"Between 1 and {MOST_AT_ONCE} links are made at once, not {len(notes)}.", "count")
    long = Link._meta.get_field("note").max_length
    if wrong := next((number for number, note in enumerate(notes, 1) if len(note) > (long or 0)), None):
        raise StudyRefused(f"Note {wrong} has {len(notes[wrong - 1])} characters; at most {long} fit.", "notes")
    with transaction.atomic():
        study = study_locked(study.pk)
        if study.links.count() + len(notes) > MOST_LINKS:
            raise StudyRefused(f"A study has at most {MOST_LINKS:,} links.", "count")
        links = [Link(study=study, personal=True, cap=1, note=note, expires_at=expires_at) for note in notes]
        made = Link.objects.bulk_create(links)
        study_note(study, actor.get_username(), f"made {len(made)} personal link{'s' if len(made) > 1 else ''}")
    return made


def link_revoke(link: Link, actor: User) -> None:
    """Nobody begins by it any more; who has begun goes on. Once more changes nothing."""
    with transaction.atomic():
        study = study_locked(link.study_id)
        if Link.objects.filter(pk=link.pk, revoked=False).update(revoked=True):
            kind = "a personal link" if link.personal else "the open link"
            study_note(study, actor.get_username(), f"withdrew {kind}", note=link.note)


def link_state(link: Link, finished: int) -> str:
    """One word or two for people."""
    if link.used:
        return "finished" if finished else "begun"
    if link.revoked:
        return "withdrawn"
    return "expired" if link.expires_at is not None and link.expires_at <= timezone.now() else "not used"


def personal_links_csv(study: Study, address: Callable[[Link], str]) -> str:
    """One row a personal link, oldest first, with the number and the completion code of whoever came by it."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["note", "link", "state", "participant", "completion_code"])
    for link in personal_links(study).order_by("pk").prefetch_related("participants"):
        person = next(iter(link.participants.all()), None)
        who = [person.number, person.completion_code] if person else ["", ""]
        writer.writerow([guarded(link.note), address(link), link_state(link, link.finished), *who])
    return stream.getvalue()


def _check_expiry(expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= timezone.now():
        raise StudyRefused("This time has passed already.", "expires_at")
