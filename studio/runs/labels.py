"""What people write on a run: its name, tags and notes; and putting it away."""

from __future__ import annotations

from django.db import transaction

from studio.jobs.lifecycle import ENDED_STATES, JobState
from studio.jobs.publisher import publish_changed
from studio.runs.models import Run, RunTag
from studio.runs.services import RunRefused

MOST_TAGS, TAG_LENGTH, NOTES_LENGTH = 12, 40, 10_000


def run_label(run: Run, *, name: str, tags: str, notes: str) -> None:
    """Store all three. `tags` are separated by commas. Raises RunRefused."""
    words = read_tags(tags)
    if not (name := _clean(name)) or len(name) > 200:
        raise RunRefused("A run's name has 1 to 200 characters.")
    if len(notes) > NOTES_LENGTH:
        raise RunRefused(f"Notes have at most {NOTES_LENGTH:,} characters, not {len(notes):,}.")
    with transaction.atomic():
        run.name, run.notes = name, notes.replace("\0", "")
        run.save(update_fields=["name", "notes"])
        run.tags.all().delete()
        RunTag.objects.bulk_create(RunTag(run=run, name=word) for word in words)
        transaction.on_commit(lambda: publish_changed(run.pk))


def read_tags(text: str) -> list[str]:
    """The distinct words of "a, b, c", in order. Raises RunRefused."""
    words = list(dict.fromkeys(word for part in text.split(",") if (word := _clean(part))))
    if len(words) > MOST_TAGS:
        raise RunRefused(f"A run has at most {MOST_TAGS} tags, not {len(words)}.")
    if long := [word for word in words if len(word) > TAG_LENGTH]:
        raise RunRefused(f"A tag has at most {TAG_LENGTH} characters; “{long[0][:TAG_LENGTH]}…” has more.")
    return words


def run_archive(run: Run, archived: bool) -> None:
    """Put an ended run out of the list, or bring it back. Raises RunRefused for one that can still go on by itself."""
    if archived and run.job.state not in (*ENDED_STATES, JobState.PAUSED):
        state = JobState(run.job.state).label
        raise RunRefused(f"{run.name} is {state}: only runs that have ended or are paused can be archived.")
    run.archived = archived
    run.save(update_fields=["archived"])
    publish_changed(run.pk)


def _clean(text: str) -> str:
    return " ".join(text.replace("\0", "").split())
