"""Review by a person, and the opening that waits for it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image as Pixels

from studio.study.lifecycle import StudyRefused, StudyState
from studio.study.models import Image, Study, StudyEvent
from studio.study.opening import opening_problems, study_close, study_open, study_reopen, study_to_draft
from studio.study.pictures import live_images
from studio.study.review import image_approve, image_reject, image_replace, lacking_approval
from studio.study.storage import image_path, open_path
from tests.studio.study.builders import (
    approved_study,
    archive_of,
    draft_study,
    images_start,
    open_study,
    png,
    review_study,
    upload,
)


def test_who_approved_what_and_when_is_kept(user: Any) -> None:
    study = review_study(user)
    first = live_images(study)[0]
    image_approve(first, user)
    first.refresh_from_db()
    assert (first.review, first.reviewed_by, first.reason) == ("approved", user, "")
    assert first.reviewed_at is not None
    event = study.events.first()
    assert event is not None
    assert event.what == "approved the image of prompt 1, arm A"
    assert event.detail == {"image": first.pk, "sha256": first.sha256}
    image_approve(first, user)
    assert study.events.first() == event, "said twice, traced once"
    image_reject(first, user, " a watermark ")
    first.refresh_from_db()
    assert (first.review, first.reason) == ("rejected", "a watermark")


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001, "a\0b"])
def test_a_rejection_needs_a_reason(user: Any, reason: str) -> None:
    image = live_images(review_study(user))[0]
    with pytest.raises(StudyRefused) as refusal:
        image_reject(image, user, reason)
    assert refusal.value.field == "reason"
    image.refresh_from_db()
    assert image.review == Image.Review.PENDING


def test_a_rejected_image_is_replaced_by_one_that_is_to_be_reviewed(user: Any) -> None:
    study = review_study(user)
    image = live_images(study)[0]
    with pytest.raises(StudyRefused, match="reject it first"):
        image_replace(image, user, name="new.png", content=png())
    image_reject(image, user, "blurred")
    with pytest.raises(StudyRefused, match=r"new\.png is not a PNG"):
        image_replace(image, user, name="new.png", content=b"?")
    new = image_replace(image, user, name="new.png", content=png(77))
    assert live_images(study)[0] == new
    assert (new.review, new.prompt, new.arm) == ("pending", image.prompt, image.arm)
    assert image_path(new).is_file()
    with pytest.raises(StudyRefused, match="was replaced by another"):
        image_approve(image, user)


def test_images_are_reviewed_while_the_study_is_in_review(user: Any) -> None:
    study = open_study(user)
    with pytest.raises(StudyRefused, match="The study is open"):
        image_reject(live_images(study)[0], user, "too late")


def test_a_study_cannot_open_while_one_image_lacks_approval_and_says_which(user: Any) -> None:
    study = approved_study(user)
    images = list(live_images(study))
    image_reject(images[3], user, "blurred")
    with pytest.raises(StudyRefused, match=r"1 image not approved: prompt 2, arm B: rejected\."):
        study_open(study, user)
    upload(study, user, 0, archive_of(3))
    assert lacking_approval(study) == [
        "prompt 1, arm A: not reviewed", "prompt 2, arm A: not reviewed", "prompt 2, arm B: rejected",
        "prompt 3, arm A: not reviewed",
    ]  # fmt: skip
    study.refresh_from_db()
    assert (study.state, study.padded_bytes) == (StudyState.REVIEW, 0)


def test_a_file_that_is_gone_is_not_approved(user: Any) -> None:
    study = approved_study(user)
    image_path(live_images(study)[0]).unlink()
    with pytest.raises(StudyRefused, match="prompt 1, arm A: its file is gone"):
        study_open(study, user)


def test_what_participants_receive_has_one_size_one_length_and_no_metadata(user: Any) -> None:
    study = draft_study(user, prompts=2)
    upload(study, user, 0, archive_of(2, size=(8, 8)))
    upload(study, user, 1, archive_of(2, shade=50, size=(64, 64), dpi=(72, 72)))
    study = images_start(study, user)
    for image in live_images(study):
        image_approve(image, user)
    study = study_open(study, user)
    files = [open_path(study.pk, image.pk).read_bytes() for image in live_images(study)]
    assert {len(file) for file in files} == {study.padded_bytes}
    opened = [Pixels.open(io.BytesIO(file)) for file in files]
    assert {(image.format, image.mode, image.size, str(image.info)) for image in opened} == {
        ("PNG", "RGB", (256, 256), "{}")
    }
    assert opened[0].getpixel((5, 5)) == (1, 1, 1)
    assert [path.name for path in open_path(study.pk, 0).parent.parent.iterdir() if "open" in path.name] == ["open"]


def test_attention_checks_need_two_different_prompts(user: Any) -> None:
    study = approved_study(user, prompts=1, checks=1)
    with pytest.raises(StudyRefused, match="Attention checks need two prompts of different"):
        study_open(study, user)


def test_two_texts_of_one_class_are_no_attention_check(user: Any) -> None:
    study = approved_study(user, prompts=2, checks=1)
    study.prompts.update(label=7)
    assert any("Attention checks" in problem for problem in opening_problems(study))
    study.prompts.filter(position=1).update(label=8)
    assert opening_problems(study) == []


def test_a_study_closes_and_opens_again_with_the_same_files(user: Any) -> None:
    study = open_study(user)
    opened_at = study.opened_at
    study = study_close(study, user)
    assert study.closed_at is not None
    image = live_images(study)[0]
    study = study_reopen(study, user)
    study.refresh_from_db()
    assert (study.state, study.opened_at, study.closed_at) == (StudyState.OPEN, opened_at, None)
    study_close(study, user)
    open_path(study.pk, image.pk).unlink()
    with pytest.raises(StudyRefused, match="1 of the files"):
        study_reopen(study, user)
    moves = [event.what for event in StudyEvent.objects.filter(study=study, what__startswith="moved")]
    assert moves[:3] == ["moved it from open to closed", "moved it from closed to open", "moved it from open to closed"]


def test_back_in_draft_the_images_and_their_reviews_stay(user: Any) -> None:
    study = study_to_draft(approved_study(user), user)
    assert study.state == StudyState.DRAFT
    study = images_start(study, user)
    assert study.state == StudyState.REVIEW
    assert not lacking_approval(study)
    with pytest.raises(StudyRefused, match="The study is open"):
        study_to_draft(study_open(study, user), user)


def test_an_open_study_cannot_be_opened_twice(user: Any) -> None:
    study = approved_study(user)
    stale = Study.objects.get(pk=study.pk)
    study_open(study, user)
    with pytest.raises(StudyRefused, match="The study is open"):
        study_open(stale, user)
    stale.refresh_from_db()
    assert open_path(stale.pk, live_images(stale)[0].pk).is_file()
