"""The rows and files of a study's pictures: which count, and letting go of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from studio.study.encode import Picture
from studio.study.models import Arm, Image, Prompt, Study
from studio.study.storage import image_path, study_folder


def live_images(study: Study) -> QuerySet[Image]:
    """The pictures that count: of each prompt and arm the newest."""
    images = Image.objects.filter(prompt__study=study, superseded=False)
    return images.select_related("prompt", "arm", "reviewed_by").order_by("prompt__position", "arm__position")


def drop_images(study: Study, **which: Any) -> None:
    """Forget pictures of a draft, and their files once the caller's transaction is done."""
    images = Image.objects.filter(prompt__study=study, **which).select_related("arm")
    paths = [image_path(image) for image in images]
    images.delete()
    transaction.on_commit(lambda: _unlink(paths))


def image_put(prompt: Prompt, arm: Arm, path: str, facts: dict[str, Any], **made: Any) -> Image:
    """A new picture of that prompt and arm, to be reviewed; the one that was there is superseded, not lost.

    facts: sha256, width and height, and whatever else is known of it.
    """
    Image.objects.filter(prompt=prompt, arm=arm, superseded=False).update(superseded=True)
    kept = {name: facts[name] for name in ("sha256", "width", "height")}
    return Image.objects.create(prompt=prompt, arm=arm, path=path, **kept, **made)


def write_picture(study_id: int, path: str, picture: Picture) -> None:
    """Write a picture to its place in the study's folder. Raises OSError."""
    file = study_folder(study_id) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(picture.content)


def _unlink(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
