"""Verbs on studies as a whole: making, changing, cloning, deleting, and the one place where the state moves."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import CharField, TextField

from studio.accounts.audit import audit_record
from studio.accounts.models import AuditAction, User
from studio.study.checkpoints import checkpoints_release
from studio.study.lifecycle import StudyRefused, StudyState, check_move
from studio.study.models import Study, StudyEvent
from studio.study.pictures import drop_images
from studio.study.storage import remove_study_files

# What people set; the rest is the studio's.
SETTINGS = (
    "title", "question", "instructions", "consent", "prompts_wanted", "participants_wanted", "seed", "no_preference",
    "checks",
)  # fmt: skip
TEXTS = ("title", "question", "instructions", "consent")
# Prompts and images follow from these.
FIXED_AFTER_DRAFT = ("prompts_wanted", "seed")
DEFAULT_CONSENT = (
    "You are invited to compare pairs of images made by computer programs. Each pair answers one short text; you say "
    "which of the two you like better. It takes about ten minutes.\n\n"
    "Taking part is voluntary, and you can stop at any time by closing the page. We keep your answers and the time "
    "they took, and nothing that tells who you are: no name, no address, no account. The answers are used for research "
    "and may be published.\n\n"
    "By going on you say that you have read this and agree to take part."
)


def study_move(study: Study, new: StudyState, actor: str, why: str = "") -> Study:
    """Move the study's state, and keep who did it and why. Returns the row as it is now.

    Raises StudyRefused for a move that the table does not have, also where somebody else has moved it meanwhile.
    """
    with transaction.atomic():
        locked = study_locked(study.pk)
        check_move(locked.state, new)
        old, locked.state = StudyState(locked.state), new
        locked.save(update_fields=["state"])
        study_note(locked, actor, f"moved it from {old.label} to {new.label}", why=why)
    study.state = new
    return locked


def study_note(study: Study, actor: str, what: str, **detail: Any) -> None:
    """Add a row to the audit trail. `what` goes on from the actor's name, as in "approved an image"; detail as JSON."""
    kept = {name: value for name, value in detail.items() if value not in ("", None)}
    StudyEvent.objects.create(study=study, actor=actor[:150], what=what[:300], detail=kept)


def study_locked(study_id: int) -> Study:
    """The study's row, locked for the caller's transaction."""
    return Study.objects.select_for_update(of=("self",)).get(pk=study_id)


def require_state(study: Study, to_do: str, *states: StudyState) -> None:
    """Raises StudyRefused unless the study is in one of the states; `to_do` as in "prompts are changed"."""
    if study.state not in states:
        allowed = " or ".join(state.label for state in states)
        raise StudyRefused(f"The study is {StudyState(study.state).label}: {to_do} while it is {allowed}.")


def study_create(*, owner: User, title: str, consent: str = DEFAULT_CONSENT, **settings: Any) -> Study:
    """A draft. `settings`: others of SETTINGS. Raises StudyRefused naming the one that cannot be."""
    study = Study(owner=owner, title=title, consent=consent, **settings)
    check_settings(study)
    with transaction.atomic():
        study.save()
        study_note(study, owner.get_username(), "made the study")
    return study


def study_change(study: Study, actor: User, **settings: Any) -> Study:
    """Change some of SETTINGS before the study opens; each change is kept with what was before. Raises StudyRefused."""
    with transaction.atomic():
        study = study_locked(study.pk)
        require_state(study, "its settings can be changed", StudyState.DRAFT, StudyState.REVIEW)
        changes = {
            name: [getattr(study, name), value] for name, value in settings.items() if getattr(study, name) != value
        }
        for name in changes:
            if name in FIXED_AFTER_DRAFT and study.state != StudyState.DRAFT:
                raise StudyRefused("Its images follow from this: take the study back to draft to change it.", name)
            setattr(study, name, settings[name])
        check_settings(study)
        if "seed" in changes:  # both arms of a prompt start from one
            drop_images(study, seed__isnull=False)
        if changes:
            study.save(update_fields=list(changes))
            study_note(study, actor.get_username(), f"changed {', '.join(changes)}", changes=changes)
    return study


def check_settings(study: Study) -> None:
    """Raises StudyRefused with the first problem; the model itself looks at no text's length."""
    try:
        study.clean_fields(exclude={field.name for field in Study._meta.fields} - set(SETTINGS))
    except ValidationError as error:
        name, said = next(iter(error.message_dict.items()))
        raise StudyRefused(said[0], name) from None
    for name in TEXTS:
        text, most = getattr(study, name), _most_characters(name)
        if "\0" in text:
            raise StudyRefused("This holds a null character.", name)
        if len(text) > most:
            raise StudyRefused(f"This has {len(text):,} characters; at most {most:,} are kept.", name)


def _most_characters(name: str) -> int:
    field = Study._meta.get_field(name)
    assert isinstance(field, CharField | TextField)
    return int(field.max_length or 0)


def study_clone(study: Study, owner: User) -> Study:
    """A draft with the same settings, prompts and arms, and no images."""
    with transaction.atomic():
        settings = {name: getattr(study, name) for name in SETTINGS}
        settings["title"] = f"Copy of {study.title}"[:200]
        clone = Study.objects.create(owner=owner, cloned_from=study, **settings)
        for arm in study.arms.all():
            arm.pk, arm.study, arm._state.adding = None, clone, True
            arm.save()
        for prompt in study.prompts.all():
            prompt.pk, prompt.study, prompt._state.adding = None, clone, True
            prompt.save()
        study_note(clone, owner.get_username(), "made the study as a copy", of=study.pk)
    return clone


def study_delete(study: Study, actor: User) -> None:
    """Delete a draft and its files. Raises StudyRefused for a study that is more than a draft."""
    with transaction.atomic():
        study = study_locked(study.pk)
        require_state(study, "it can be deleted", StudyState.DRAFT)
        number, shown = study.pk, list(study.arms.exclude(checkpoint=None).values_list("checkpoint", flat=True))
        study.delete()
        checkpoints_release(shown)
        subject = f"study {number} ({study.title})"
        audit_record(AuditAction.DELETED, actor=actor.get_username(), subject=subject)
        transaction.on_commit(lambda: remove_study_files(number))
