"""Every picture is looked at by a person before a participant sees it (B.4): approved, or rejected with a reason."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone

from studio.accounts.models import User
from studio.study.encode import canonical
from studio.study.lifecycle import StudyRefused, StudyState
from studio.study.models import Image, Study
from studio.study.pictures import image_put, live_images, write_picture
from studio.study.services import require_state, study_locked, study_note
from studio.study.storage import study_folder


def image_approve(image: Image, actor: User) -> Image:
    """Raises StudyRefused where the study is not in review, or the image was replaced."""
    return _judge(image, actor, Image.Review.APPROVED, "")


def image_reject(image: Image, actor: User, reason: str) -> Image:
    """Raises StudyRefused, also without a reason."""
    if not (reason := reason.strip()):
        raise StudyRefused("Say why it is rejected.", "reason")
    if len(reason) > 1_000 or "\0" in reason:
        raise StudyRefused("The reason has at most 1,000 characters, none of them null.", "reason")
    return _judge(image, actor, Image.Review.REJECTED, reason)


def _judge(image: Image, actor: User, verdict: Image.Review, reason: str) -> Image:
    with transaction.atomic():
        image = _locked(image)
        if (image.review, image.reason) == (verdict, reason):
            return image  # said twice
        image.review, image.reason = verdict, reason
        image.reviewed_by, image.reviewed_at = actor, timezone.now()
        image.save()
        _note(image, actor, verdict.label, reason=reason)
    return image


def image_replace(image: Image, actor: User, *, name: str, content: bytes) -> Image:
    """Put an uploaded picture into the place of a rejected one; it is reviewed in its turn. Raises StudyRefused."""
    try:
        picture = canonical(content, name)
    except StudyRefused as refusal:
        raise StudyRefused(str(refusal), "file") from None
    with transaction.atomic():
        image = _locked(image)
        if image.review != Image.Review.REJECTED:
            raise StudyRefused("An image is replaced once it is rejected: reject it first, with the reason.")
        path = f"images/upload-{uuid.uuid4().hex}/{image.prompt.position + 1}.png"
        write_picture(image.arm.study_id, path, picture)
        new = image_put(image.prompt, image.arm, path, picture.facts, sampler="uploaded")
        _note(image, actor, "replaced", file=name[:255])
    return new


def _locked(image: Image) -> Image:
    """The row as it is now, its study locked. Raises StudyRefused."""
    study = study_locked(image.arm.study_id)
    require_state(study, "its images can be reviewed", StudyState.REVIEW)
    image = Image.objects.select_related("prompt", "arm", "reviewed_by").get(pk=image.pk)
    if image.superseded:
        raise StudyRefused("This image was replaced by another meanwhile: look at the new one.")
    return image


def _note(image: Image, actor: User, what: str, **detail: Any) -> None:
    number, arm = image.prompt.position + 1, image.arm
    study_note(
        arm.study, actor.get_username(), f"{what} the image of prompt {number}, arm {'AB'[arm.position]}",
        image=image.pk, sha256=image.sha256, **detail,
    )  # fmt: skip


def lacking_approval(study: Study) -> list[str]:
    """What stands between the study and its opening, a line for each picture; empty where all are approved."""
    images = {(image.prompt_id, image.arm_id): image for image in live_images(study)}
    arms, prompts = list(study.arms.order_by("position")), list(study.prompts.all())
    return [
        f"prompt {prompt.position + 1}, arm {'AB'[arm.position]}: {_state(images.get((prompt.pk, arm.pk)), study)}"
        for prompt, arm in ((prompt, arm) for prompt in prompts for arm in arms)
        if _state(images.get((prompt.pk, arm.pk)), study) != Image.Review.APPROVED.label
    ]


def _state(image: Image | None, study: Study) -> str:
    if image is None:
        return "there is no image"
    if not (study_folder(study.pk) / image.path).is_file():
        return "its file is gone"
    return Image.Review(image.review).label
