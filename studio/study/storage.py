"""Where a study's files lie. Every name below its folder is ours.

`images/` holds the pictures as they were made or uploaded, each a canonical PNG; `open/` holds those that participants
receive, all of one size and one number of bytes, written when the study opens.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from django.conf import settings

from studio.study.models import Image

OPEN = "open"


def study_folder(study_id: int) -> Path:
    """Everything of a study lies below."""
    return Path(settings.DATA) / "studies" / str(study_id)


def image_path(image: Image) -> Path:
    """The picture as it was made or uploaded; for signed-in people."""
    return study_folder(image.arm.study_id) / image.path


def stored_image(image: Image) -> Path | None:
    """The file at `image_path`; None where it is gone."""
    path = image_path(image).resolve()
    inside = path.is_relative_to(study_folder(image.arm.study_id).resolve())
    return path if inside and path.is_file() else None


def open_path(study_id: int, image_id: int) -> Path:
    """The picture that participants receive; there once the study has opened."""
    return study_folder(study_id) / OPEN / f"{image_id}.png"


def remove_study_files(study_id: int) -> None:
    """Remove everything of a study; nothing where there is nothing."""
    shutil.rmtree(study_folder(study_id), ignore_errors=True)
