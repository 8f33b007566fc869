"""The two arms: what is compared, whether it can show the prompts, and what it knows of classes."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from simcore.teacher_card import TeacherCard
from studio.accounts.models import User
from studio.catalog.models import Dataset, Teacher
from studio.runs.distillation import run_folder
from studio.runs.models import Checkpoint, Run
from studio.study.checkpoints import checkpoint_keep, checkpoints_release
from studio.study.lifecycle import StudyRefused, StudyState
from studio.study.models import Arm, Study
from studio.study.pictures import drop_images
from studio.study.prompts import Line
from studio.study.services import require_state, study_locked, study_note

MOST_STEPS = 1_000
MOST_LABEL = 100  # characters
DIGITS = ("digits", "mnist")


def arm_set(
    study: Study, actor: User, *, position: int, kind: str, label: str = "", checkpoint: Checkpoint | None = None,
    teacher: Teacher | None = None, steps: int = 18,
) -> Arm:  # fmt: skip
    """Say what arm 0 or 1 shows. Its pictures go where it shows something else than before. Raises StudyRefused.

    A checkpoint is kept from then on: its run's schedule no longer removes it.
    """
    if position not in (0, 1):
        raise StudyRefused(f"A study has the arms 0 and 1 (given: {position}).", "position")
    if len(label) > MOST_LABEL or "\0" in label:
        raise StudyRefused(f"The name has at most {MOST_LABEL} characters, none of them null.", "label")
    source = _source(kind, checkpoint, teacher, steps)
    with transaction.atomic():
        study = study_locked(study.pk)
        require_state(study, "its arms can be changed", StudyState.DRAFT)
        old = study.arms.filter(position=position).first()
        before = _facts(old) if old else None
        arm = old or Arm(study=study, position=position)
        let_go = arm.checkpoint_id
        changed = [name for name, value in source.items() if getattr(arm, name) != value]
        for name, value in source.items():
            setattr(arm, name, value)
        other = study.arms.exclude(position=position).first()
        arm.label = label.strip() or _free_name(arm, other)
        if other and _alike(arm.label, other.label):
            raise StudyRefused(f"Arm {other.letter} is called “{other.label}” already: give this one another.", "label")
        arm.save()
        if checkpoint is not None:
            checkpoint_keep(checkpoint)
        checkpoints_release([let_go] if let_go else [])
        if old and changed:
            drop_images(study, arm=arm)
        if _facts(arm) != before:
            study_note(study, actor.get_username(), f"set arm {arm.letter}", before=before, after=_facts(arm))
    return arm


def arms_of_run(study: Study, actor: User, run: Run, *, steps: int = 18) -> None:
    """Compare the run's teacher (arm A) with its newest student (arm B). Raises StudyRefused."""
    newest = run.checkpoints.filter(superseded=False, removed=False).order_by("-step").first()
    if newest is None:
        raise StudyRefused(f"{run.name} has no checkpoint: there is no student to compare.", "run")
    with transaction.atomic():
        arm_set(study, actor, position=1, kind=Arm.Kind.CHECKPOINT, checkpoint=newest)
        arm_set(study, actor, position=0, kind=Arm.Kind.TEACHER, teacher=run.teacher, steps=steps)


def _source(kind: str, checkpoint: Checkpoint | None, teacher: Teacher | None, steps: int) -> dict[str, Any]:
    """The fields that say where pictures come from. Raises StudyRefused."""
    if kind == Arm.Kind.UPLOAD:
        return {"kind": kind, "checkpoint": None, "teacher": None, "steps": 18}
    if kind == Arm.Kind.TEACHER:
        if teacher is None:
            raise StudyRefused("Choose the teacher.", "teacher")
        if not 1 <= steps <= MOST_STEPS:
            raise StudyRefused(f"Heun's method takes 1 to {MOST_STEPS:,} steps (given: {steps}).", "steps")
        _require_images(teacher, "teacher")
        return {"kind": kind, "checkpoint": None, "teacher": teacher, "steps": steps}
    if kind != Arm.Kind.CHECKPOINT:
        raise StudyRefused(f"An arm is a {', a '.join(Arm.Kind.values)}.", "kind")
    if checkpoint is None:
        raise StudyRefused("Choose the run and the step of its checkpoint.", "checkpoint")
    if checkpoint.removed or checkpoint.superseded:
        raise StudyRefused(
            f"The checkpoint of step {checkpoint.step} is no longer there: choose another.", "checkpoint"
        )
    if checkpoint.run.teacher is None:
        raise StudyRefused(
            f"{checkpoint.run} trains a teacher and has no student: choose the teacher that it made.", "run"
        )
    _require_images(checkpoint.run.teacher, "checkpoint")
    return {"kind": kind, "checkpoint": checkpoint, "teacher": None, "steps": 18}


def _require_images(teacher: Teacher, field: str) -> None:
    channels, _, _ = teacher.read_card().image_shape
    if channels not in (1, 3):
        raise StudyRefused(f"{teacher.title} draws points in the plane, and people compare images.", field)


def _alike(one: str, other: str) -> bool:
    """Results and exports tell arms apart by their names."""
    return one.casefold() == other.casefold()


def _free_name(arm: Arm, other: Arm | None) -> str:
    name = _name(arm)
    return _with_tail(name, f", arm {arm.letter}") if other and _alike(name, other.label) else name


def _name(arm: Arm) -> str:
    if arm.checkpoint is not None:
        return _with_tail(arm.checkpoint.run.name, f", step {arm.checkpoint.step}")
    if arm.teacher is not None:
        return _with_tail(arm.teacher.title, f", {arm.steps} steps")
    return f"Uploaded images {arm.letter}"


def _with_tail(name: str, tail: str) -> str:
    """The name is cut where both do not fit: the tail tells arms apart."""
    most = MOST_LABEL - len(tail)
    return (name if len(name) <= most else f"{name[: most - 1]}…") + tail


def _facts(arm: Arm) -> dict[str, Any]:
    facts = {"label": arm.label, "kind": arm.kind, "checkpoint": arm.checkpoint_id, "teacher": arm.teacher_id}
    return facts | ({"steps": arm.steps} if arm.teacher_id else {})


def arm_card(arm: Arm) -> TeacherCard | None:
    """The card of the model behind it, which for a student is its teacher's; None for uploaded images."""
    teacher = arm.checkpoint.run.teacher if arm.checkpoint else arm.teacher
    return teacher.read_card() if teacher else None


def arm_reference(arm: Arm) -> str:
    """What `simcore draw` takes as the source. Raises StudyRefused where the checkpoint's file is gone."""
    if arm.teacher is not None:
        return arm.teacher.reference
    assert arm.checkpoint is not None, "uploaded images are not drawn"
    path = run_folder(arm.checkpoint.run_id) / arm.checkpoint.path
    if not path.is_file():
        raise StudyRefused(
            f"{arm.label}: the checkpoint's file is gone from the data folder: choose another checkpoint."
        )
    return str(path)


def arm_problems(arm: Arm, lines: list[Line]) -> list[str]:
    """Why the arm cannot show these prompts, for people; empty where it can."""
    card = arm_card(arm)
    if card is None:
        return []
    if not card.label_dim:
        return [f"{arm.label} takes neither text nor classes, so it cannot follow prompts. Upload its images instead."]
    without = [number for number, line in enumerate(lines, start=1) if line.label is None]
    beyond = [
        number for number, line in enumerate(lines, start=1) if line.label is not None and line.label >= card.label_dim
    ]
    problems = []
    if without:
        problems.append(
            f"{arm.label} knows classes and no text: {_which(without)} without a class (0 to {card.label_dim - 1})."
        )
    if beyond:
        problems.append(f"{arm.label} has the classes 0 to {card.label_dim - 1}: {_which(beyond)} beyond them.")
    return problems


def _which(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:5])) + ("…" if len(numbers) > 5 else "")
    return f"prompt{'s' if len(numbers) > 1 else ''} {shown} {'are' if len(numbers) > 1 else 'is'}"


def class_lines(study: Study) -> list[Line]:
    """A prompt for each class that both arms know; empty where no arm knows classes."""
    cards = [card for arm in arms_of(study) if (card := arm_card(arm)) and card.label_dim]
    if not cards:
        return []
    least = min(cards, key=lambda card: card.label_dim)
    names = _class_names(least)
    return [Line(names[number], number) for number in range(least.label_dim)]


def _class_names(card: TeacherCard) -> list[str]:
    if card.dataset in DIGITS:
        return [f"the digit {number}" for number in range(card.label_dim)]
    known = Dataset.objects.filter(reference=card.dataset).first()
    names = known.read_card().class_names if known else ()
    return [names[number] if number < len(names) else f"class {number}" for number in range(card.label_dim)]


def arms_of(study: Study) -> list[Arm]:
    """Both arms, or those that are set, with what they are made of."""
    return list(study.arms.select_related("checkpoint__run__teacher", "teacher").order_by("position"))
