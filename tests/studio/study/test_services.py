"""A study as a whole: made, changed, cloned, deleted; its state moves through one table."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from studio.accounts.models import AuditEntry
from studio.study.lifecycle import MOVES, StudyRefused, StudyState
from studio.study.models import Study
from studio.study.opening import study_to_draft
from studio.study.pictures import live_images
from studio.study.services import study_change, study_clone, study_create, study_delete, study_move
from studio.study.storage import study_folder
from tests.studio.builders import at_once
from tests.studio.study.builders import draft_study, open_study, review_study


@pytest.mark.parametrize(("old", "new"), list(product(StudyState, StudyState)))
def test_the_state_moves_as_the_table_says_and_each_move_is_kept(user: Any, old: StudyState, new: StudyState) -> None:
    study = study_create(owner=user, title="a study")
    Study.objects.filter(pk=study.pk).update(state=old, padded_bytes=1)
    if new in MOVES[old]:
        assert study_move(study, new, "ada", "because").state == study.state == new
        event = study.events.first()
        assert event is not None
        assert (event.actor, event.detail) == ("ada", {"why": "because"})
    else:
        with pytest.raises(StudyRefused):
            study_move(study, new, "ada")
        assert Study.objects.get(pk=study.pk).state == old


@pytest.mark.django_db(transaction=True)
def test_of_two_who_move_it_at_once_one_is_refused(user: Any) -> None:
    study = study_create(owner=user, title="a study")
    Study.objects.filter(pk=study.pk).update(state=StudyState.OPEN, padded_bytes=1)
    results = at_once(*[lambda: study_move(study, StudyState.CLOSED, "ada")] * 2)
    assert sum(isinstance(result, StudyRefused) for result in results) == 1
    assert study.events.filter(what="moved it from open to closed").count() == 1


def test_a_change_is_kept_with_what_was_before(user: Any) -> None:
    study = study_create(owner=user, title="a study")
    study = study_change(study, user, title="another", checks=0, prompts_wanted=5)
    assert (study.title, study.prompts_wanted) == ("another", 5)
    event = study.events.first()
    assert event is not None
    assert event.detail == {"changes": {"title": ["a study", "another"], "prompts_wanted": [17, 5]}}


@pytest.mark.parametrize(
    ("field", "value"),
    [("title", ""), ("title", "x" * 201), ("question", "x" * 1001), ("consent", ""), ("consent", "a\0b"),
     ("prompts_wanted", 0), ("prompts_wanted", 201), ("participants_wanted", 0), ("checks", 6), ("checks", "two"),
     ("seed", -1), ("seed", 2**63)],
)  # fmt: skip
def test_a_setting_that_cannot_be_is_refused_by_name(user: Any, field: str, value: Any) -> None:
    with pytest.raises(StudyRefused) as refusal:
        study_create(owner=user, **({"title": "a study"} | {field: value}))
    assert refusal.value.field == field
    study = study_create(owner=user, title="a study")
    with pytest.raises(StudyRefused):
        study_change(study, user, **{field: value})
    assert study.events.count() == 1


def test_what_images_follow_from_is_fixed_after_the_draft_and_all_after_the_opening(user: Any) -> None:
    study = review_study(user)
    assert study_change(study, user, question="Which?").question == "Which?"
    with pytest.raises(StudyRefused, match="back to draft") as refusal:
        study_change(study, user, question="What?", seed=study.seed + 1)
    assert refusal.value.field == "seed"
    assert Study.objects.get(pk=study.pk).question == "Which?"
    with pytest.raises(StudyRefused, match="The study is open"):
        study_change(open_study(user), user, title="too late")


def test_another_seed_lets_go_of_what_was_drawn_with_the_old_one(user: Any) -> None:
    study = review_study(user)
    study = study_to_draft(study, user)
    drawn = live_images(study).first()
    assert drawn is not None
    type(drawn).objects.filter(pk=drawn.pk).update(seed=5)
    before = live_images(study).count()
    study_change(study, user, seed=study.seed + 1)
    assert live_images(study).count() == before - 1, "uploaded images have no seed and stay"


def test_a_clone_is_a_draft_with_the_same_prompts_and_arms(user: Any, django_user_model: Any) -> None:
    study = open_study(user, no_preference=True, seed=3)
    other = django_user_model.objects.create_user("eve", role="researcher")
    clone = study_clone(study, other)
    assert (clone.state, clone.owner, clone.title) == (StudyState.DRAFT, other, "Copy of Which is better?")
    assert (clone.no_preference, clone.seed, clone.padded_bytes, clone.cloned_from) == (True, 3, 0, study)
    for rows in ("prompts", "arms"):
        kept = [name.attname for name in getattr(study, rows).model._meta.fields if name.name not in ("id", "study")]
        assert list(getattr(clone, rows).values_list(*kept)) == list(getattr(study, rows).values_list(*kept))
    assert study.prompts.count() == 3
    study.refresh_from_db()
    assert study.state == StudyState.OPEN


@pytest.mark.django_db(transaction=True)
def test_a_draft_is_deleted_with_its_files_and_nothing_else_is(user: Any) -> None:
    study = draft_study(user)
    study_folder(study.pk).mkdir(parents=True)
    study_delete(study, user)
    assert not Study.objects.exists()
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.actor, "Which is better?" in entry.subject) == ("deleted", "ada", True)
    assert not study_folder(study.pk).exists()
    with pytest.raises(StudyRefused, match="it can be deleted while it is draft"):
        study_delete(review_study(user), user)
