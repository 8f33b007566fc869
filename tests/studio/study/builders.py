"""Studies in a wanted state, made by the studio's own verbs from uploaded images."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from PIL import Image as Pixels

from studio.study.archive import images_upload
from studio.study.arms import arm_set
from studio.study.generation import images_start
from studio.study.models import Arm, Image, Prompt, Study
from studio.study.opening import study_open
from studio.study.pictures import live_images
from studio.study.prompts import Line, prompts_set
from studio.study.review import image_approve
from studio.study.services import study_create


def png(
    shade: int = 0, size: tuple[int, int] = (16, 16), mode: str = "RGB", kind: str = "PNG", **settings: Any
) -> bytes:
    """An image of one shade."""
    buffer = io.BytesIO()
    Pixels.new(mode, size, shade if mode in ("L", "P", "I;16") else (shade,) * len(mode)).save(buffer, kind, **settings)
    return buffer.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def archive_of(number: int, shade: int = 0, **settings: Any) -> bytes:
    """A good archive for that many prompts."""
    names = {str(place): f"{place}.png" for place in range(1, number + 1)}
    files = {name: png(shade + int(place), **settings) for place, name in names.items()}
    return zipped(files | {"manifest.json": json.dumps(names).encode()})


def upload(study: Study, user: Any, position: int, content: bytes, name: str = "images.zip") -> int:
    return images_upload(study, user, position=position, name=name, file=io.BytesIO(content), size=len(content))


def draft_study(user: Any, prompts: int = 3, **settings: Any) -> Study:
    """Prompts and two arms of uploaded images, which are not there yet."""
    study = study_create(owner=user, title="Which is better?", **settings)
    prompts_set(study, user, [Line(f"prompt {number}") for number in range(1, prompts + 1)])
    for position in (0, 1):
        arm_set(study, user, position=position, kind="upload")
    study.refresh_from_db()
    return study


def review_study(user: Any, prompts: int = 3, **settings: Any) -> Study:
    """Every image is there, none is reviewed."""
    study = draft_study(user, prompts, **settings)
    for position in (0, 1):
        upload(study, user, position, archive_of(prompts, shade=100 * position))
    return images_start(study, user)


def approved_study(user: Any, prompts: int = 3, **settings: Any) -> Study:
    study = review_study(user, prompts, **settings)
    for image in live_images(study):
        image_approve(image, user)
    return study


def some_image(user: Any) -> Image:
    """Rows only: the picture of a draft's prompt, without its file."""
    study = Study.objects.create(owner=user, title="Which is better?", consent="Yes")
    prompt, arm = Prompt(study=study, position=0, text="a cat"), Arm(study=study, position=0, label="A", kind="upload")
    prompt.save()
    arm.save()
    return Image.objects.create(prompt=prompt, arm=arm, path="images/1.png", sha256="0" * 64, width=8, height=8)


def open_study(user: Any, prompts: int = 3, **settings: Any) -> Study:
    """One that participants can enter."""
    return study_open(approved_study(user, prompts, **settings), user)
