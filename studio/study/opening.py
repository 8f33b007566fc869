"""Opening a study to participants, and closing it."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from studio.accounts.models import User
from studio.study.allocation import PromptFacts, can_check
from studio.study.encode import common_side, for_participants, pad_png, padded_length
from studio.study.lifecycle import StudyRefused, StudyState
from studio.study.models import Image, Study
from studio.study.pictures import live_images
from studio.study.review import lacking_approval
from studio.study.services import require_state, study_locked, study_move
from studio.study.storage import open_path, study_folder

_NAMED = 5


def opening_problems(study: Study) -> list[str]:
    """What is in the way of opening, for people; empty where nothing is."""
    prompts = list(study.prompts.all())
    problems = []
    if not prompts or study.arms.count() < 2:
        problems.append("It needs prompts and two arms.")
    if lacking := lacking_approval(study):
        more = f"; and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
        number = f"{len(lacking)} image{'s' if len(lacking) > 1 else ''}"
        problems.append(f"{number} not approved: {'; '.join(lacking[:_NAMED])}{more}.")
    if study.checks and not can_check([PromptFacts(prompt.text, prompt.label) for prompt in prompts]):
        problems.append(
            "Attention checks need two prompts of different texts and, where they have classes, different ones."
        )
    return problems


def study_open(study: Study, actor: User) -> Study:
    """Let participants in. Every picture they receive is written anew: one size, one number of bytes, no metadata.

    Raises StudyRefused with everything that is in the way, OSError where the files cannot be written.
    """
    require_state(study, "it can be opened", StudyState.REVIEW)
    _require_ready(study)
    images = list(live_images(study))
    new = study_folder(study.pk) / f"open-{uuid.uuid4().hex}"
    try:
        length = _write(study, images, new)
        with transaction.atomic():
            locked = study_locked(study.pk)
            require_state(locked, "it can be opened", StudyState.REVIEW)
            _require_ready(locked)
            if {image.pk for image in live_images(locked)} != {image.pk for image in images}:
                raise StudyRefused("Images were exchanged meanwhile: look at them, then open it again.")
            locked.padded_bytes, locked.opened_at = length, timezone.now()
            locked.save(update_fields=["padded_bytes", "opened_at"])
            folder = open_path(study.pk, 0).parent
            shutil.rmtree(folder, ignore_errors=True)
            new.rename(folder)
            return study_move(locked, StudyState.OPEN, actor.get_username())
    finally:
        shutil.rmtree(new, ignore_errors=True)


def study_close(study: Study, actor: User) -> Study:
    """Let nobody in any more; the votes stay. Raises StudyRefused."""
    with transaction.atomic():
        study = study_move(study, StudyState.CLOSED, actor.get_username())
        study.closed_at = timezone.now()
        study.save(update_fields=["closed_at"])
    return study


def study_reopen(study: Study, actor: User) -> Study:
    """Let participants in again, with the same pictures. Raises StudyRefused."""
    with transaction.atomic():
        locked = study_locked(study.pk)
        require_state(locked, "it can be opened again", StudyState.CLOSED)
        if gone := [image.pk for image in live_images(locked) if not open_path(locked.pk, image.pk).is_file()]:
            raise StudyRefused(f"{len(gone)} of the files that participants receive are gone from the data folder.")
        locked.closed_at = None
        locked.save(update_fields=["closed_at"])
        return study_move(locked, StudyState.OPEN, actor.get_username(), "again")


def study_to_draft(study: Study, actor: User) -> Study:
    """From review back to draft, to change prompts or arms; images stay where their prompt and arm do."""
    with transaction.atomic():
        locked = study_locked(study.pk)
        require_state(locked, "it can go back to draft", StudyState.REVIEW)
        return study_move(locked, StudyState.DRAFT, actor.get_username())


def _require_ready(study: Study) -> None:
    if problems := opening_problems(study):
        raise StudyRefused(f"The study cannot open. {' '.join(problems)}")


def enlargement(images: list[Image]) -> Callable[[bytes], bytes]:
    """What makes of a study's canonical PNG the one that participants see.

    Pixels are repeated only where a whole factor fits every image: else the arm of the odd size would look smoother.
    """
    sides = [max(image.width, image.height) for image in images]
    side = common_side(sides)
    return partial(for_participants, side=side, repeat=all(side % one == 0 for one in sides))


def _write(study: Study, images: list[Image], folder: Path) -> int:
    """The files for participants, and the length that each of them has."""
    folder.mkdir(parents=True)
    enlarge = enlargement(images)
    lengths = []
    for image in images:
        content = enlarge((study_folder(study.pk) / image.path).read_bytes())
        (folder / f"{image.pk}.png").write_bytes(content)
        lengths.append(len(content))
    length = padded_length(lengths)
    for image in images:
        file = folder / f"{image.pk}.png"
        file.write_bytes(pad_png(file.read_bytes(), length))
    return length
