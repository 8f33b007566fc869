"""The two arms: what they may be, and what follows from choosing them."""

from __future__ import annotations

from typing import Any

import pytest

from simcore.teacher_card import read_card
from studio.catalog.models import Teacher
from studio.catalog.services import teacher_delete
from studio.runs.models import Checkpoint, Run
from studio.study.arms import arm_problems, arm_reference, arm_set
from studio.study.lifecycle import StudyRefused
from studio.study.models import Study, StudyEvent
from studio.study.pictures import live_images
from studio.study.prompts import Line
from studio.study.selectors import checkpoint_choices
from studio.study.services import study_create, study_delete
from tests.studio.catalog.conftest import some_dataset
from tests.studio.study.builders import archive_of, draft_study, upload


@pytest.fixture
def study(user: Any) -> Study:
    return study_create(owner=user, title="Which is better?")


@pytest.fixture
def a_checkpoint(run: Any) -> Checkpoint:
    return Checkpoint.objects.create(run=run, attempt=1, step=50, path="attempts/1/50.safetensors", size=1, sha256="0")


def test_a_checkpoint_that_a_study_compares_is_kept(study: Study, user: Any, a_checkpoint: Checkpoint) -> None:
    arm = arm_set(study, user, position=0, kind="checkpoint", checkpoint=a_checkpoint)
    assert arm.label == "first, step 50"
    a_checkpoint.refresh_from_db()
    assert a_checkpoint.kept
    with pytest.raises(StudyRefused, match="the checkpoint's file is gone"):
        arm_reference(arm)


def test_two_arms_have_two_names(study: Study, user: Any, teacher: Any, a_checkpoint: Checkpoint) -> None:
    arm_set(study, user, position=0, kind="upload", label="Ours")
    with pytest.raises(StudyRefused, match="Arm A is called “Ours” already") as refusal:
        arm_set(study, user, position=1, kind="upload", label=" ours ")
    assert refusal.value.field == "label"
    assert study.arms.count() == 1
    assert arm_set(study, user, position=0, kind="upload", label="Ours").label == "Ours", "it may keep its own"
    names = [arm_set(study, user, position=place, kind="teacher", teacher=teacher).label for place in (0, 1)]
    assert names[1] == f"{names[0]}, arm B"


def test_a_long_name_is_cut_before_the_step(study: Study, user: Any, a_checkpoint: Checkpoint) -> None:
    Run.objects.filter(pk=a_checkpoint.run_id).update(name="x" * 200)
    a_checkpoint.run.refresh_from_db()
    later = Checkpoint.objects.create(run=a_checkpoint.run, attempt=1, step=100, path="100", size=1, sha256="0")
    labels = [
        arm_set(study, user, position=place, kind="checkpoint", checkpoint=checkpoint).label
        for place, checkpoint in enumerate((a_checkpoint, later))
    ]
    assert [label.strip("x") for label in labels] == ["…, step 50", "…, step 100"]
    same = arm_set(study, user, position=1, kind="checkpoint", checkpoint=a_checkpoint)
    assert same.label.endswith("…, arm B")
    assert {len(label) for label in [*labels, same.label]} == {100}


@pytest.mark.parametrize("how", ["another arm", "deleted"])
def test_a_checkpoint_that_no_study_compares_any_more_is_let_go(
    study: Study, user: Any, a_checkpoint: Checkpoint, how: str
) -> None:
    arm_set(study, user, position=0, kind="checkpoint", checkpoint=a_checkpoint)
    if how == "deleted":
        study_delete(study, user)
    else:
        arm_set(study, user, position=0, kind="upload")
    a_checkpoint.refresh_from_db()
    assert not a_checkpoint.kept


def test_a_checkpoint_that_goes_at_this_moment_is_refused(study: Study, user: Any, a_checkpoint: Checkpoint) -> None:
    Checkpoint.objects.update(removed=True)  # what was read before does not know yet
    with pytest.raises(StudyRefused, match="has just been removed"):
        arm_set(study, user, position=0, kind="checkpoint", checkpoint=a_checkpoint)
    assert not study.arms.exists()


@pytest.mark.parametrize("flag", ["removed", "superseded"])
def test_a_checkpoint_that_is_gone_is_refused(study: Study, user: Any, a_checkpoint: Checkpoint, flag: str) -> None:
    setattr(a_checkpoint, flag, True)
    a_checkpoint.save()
    with pytest.raises(StudyRefused, match="step 50 is no longer there") as refusal:
        arm_set(study, user, position=0, kind="checkpoint", checkpoint=a_checkpoint)
    assert refusal.value.field == "checkpoint"
    assert not study.arms.exists()


def test_a_run_that_trains_a_teacher_has_no_student(study: Study, user: Any, a_checkpoint: Checkpoint) -> None:
    Run.objects.filter(pk=a_checkpoint.run_id).update(teacher=None, dataset=some_dataset(user))
    a_checkpoint.run.refresh_from_db()
    with pytest.raises(StudyRefused, match="choose the teacher that it made"):
        arm_set(study, user, position=0, kind="checkpoint", checkpoint=a_checkpoint)
    assert not checkpoint_choices()


def test_points_in_the_plane_are_refused(study: Study, user: Any) -> None:
    card = read_card("bundled:two-moons")
    toy = Teacher.objects.create(reference="bundled:two-moons", title="Two moons", card=card.model_dump(mode="json"))
    with pytest.raises(StudyRefused, match="Two moons draws points in the plane"):
        arm_set(study, user, position=0, kind="teacher", teacher=toy)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"kind": "teacher"}, "teacher"),
        ({"kind": "checkpoint"}, "checkpoint"),
        ({"kind": "magic"}, "kind"),
        ({"kind": "upload", "position": 2}, "position"),
        ({"kind": "upload", "label": "x" * 101}, "label"),
        ({"kind": "upload", "label": "a\0b"}, "label"),
    ],
)
def test_an_arm_that_cannot_be_is_refused_by_name(study: Study, user: Any, given: dict[str, Any], field: str) -> None:
    with pytest.raises(StudyRefused) as refusal:
        arm_set(study, user, **({"position": 1} | given))
    assert refusal.value.field == field


@pytest.mark.parametrize("steps", [0, 1_001])
def test_steps_have_bounds(study: Study, user: Any, teacher: Any, steps: int) -> None:
    with pytest.raises(StudyRefused, match="1 to 1,000 steps"):
        arm_set(study, user, position=0, kind="teacher", teacher=teacher, steps=steps)


def test_a_class_conditional_model_needs_a_class_that_it_has(study: Study, user: Any, teacher: Any) -> None:
    arm = arm_set(study, user, position=0, kind="teacher", teacher=teacher)
    assert arm_problems(arm, [Line("the digit 3", 3)]) == []
    text, beyond = arm_problems(arm, [Line("a cat"), Line("the digit 3", 3), Line("class 10", 10)])
    assert "knows classes and no text: prompt 1 is without a class (0 to 9)" in text
    assert "has the classes 0 to 9: prompt 3 is beyond them" in beyond


def test_a_model_without_classes_follows_no_prompt(study: Study, user: Any, teacher: Any) -> None:
    teacher.card["config"]["label_dim"] = 0
    teacher.save()
    arm = arm_set(study, user, position=0, kind="teacher", teacher=teacher)
    (problem,) = arm_problems(arm, [Line("a cat")])
    assert "takes neither text nor classes" in problem


def test_another_source_drops_the_images_and_another_name_does_not(user: Any, teacher: Any) -> None:
    study = draft_study(user)
    upload(study, user, 0, archive_of(3))
    arm_set(study, user, position=0, kind="upload", label="The baseline")
    assert live_images(study).count() == 3
    arm_set(study, user, position=0, kind="teacher", teacher=teacher)
    assert live_images(study).count() == 0
    event = StudyEvent.objects.filter(study=study).first()
    assert event is not None
    assert event.what == "set arm A"
    assert (event.detail["before"]["label"], event.detail["after"]["kind"]) == ("The baseline", "teacher")


def test_a_teacher_that_a_study_compares_cannot_be_deleted(study: Study, user: Any, teacher: Any) -> None:
    Teacher.objects.filter(pk=teacher.pk).update(owner=user)
    teacher.refresh_from_db()
    arm_set(study, user, position=0, kind="teacher", teacher=teacher)
    with pytest.raises(ValueError, match="used by the study Which is better"):
        teacher_delete(teacher, user)
