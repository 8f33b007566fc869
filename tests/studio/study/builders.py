"""Studies for tests: as rows alone, with people and votes; or made by the studio's own verbs from uploaded images."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import timezone
from PIL import Image as Pixels

from studio.study.archive import images_upload
from studio.study.arms import arm_set
from studio.study.generation import images_start
from studio.study.lifecycle import StudyState
from studio.study.models import Arm, Image, Link, Participant, Prompt, Side, Study, Trial, Vote
from studio.study.opening import study_open
from studio.study.pictures import live_images
from studio.study.prompts import Line, prompts_set
from studio.study.review import image_approve
from studio.study.services import study_create

OPENED = (StudyState.OPEN, StudyState.CLOSED)


def study_with(
    owner: Any,
    *,
    prompts: int = 17,
    state: StudyState = StudyState.OPEN,
    review: Image.Review = Image.Review.APPROVED,
    labels: Sequence[str] = ("teacher", "student"),
    **fields: Any,
) -> Study:
    """A study of two uploaded arms that has every image, reviewed by its owner, and an open link."""
    now = timezone.now()
    study = Study.objects.create(
        **{"title": "Digits", "consent": "I agree.", "seed": 7, "prompts_wanted": prompts, **fields},
        owner=owner, state=state,
        padded_bytes=4096 if state in OPENED else 0, opened_at=now if state in OPENED else None,
    )  # fmt: skip
    arms = [Arm.objects.create(study=study, position=i, label=labels[i], kind=Arm.Kind.UPLOAD) for i in (0, 1)]
    rows = Prompt.objects.bulk_create(
        Prompt(study=study, position=position, text=f"a photo of thing {position + 1}", label=position % 10)
        for position in range(prompts)
    )
    seen = review != Image.Review.PENDING
    Image.objects.bulk_create(
        Image(
            prompt=prompt, arm=arm, path=f"images/{prompt.position}-{arm.position}.png", sha256="0" * 64,
            width=8, height=8, seed=prompt.position, nfe=1, sampler="one step", review=review,
            reviewed_by=owner if seen else None, reviewed_at=now if seen else None,
        )
        for prompt in rows
        for arm in arms
    )  # fmt: skip
    Link.objects.create(study=study)
    return study


def participate(
    study: Study, answers: str, *, seconds: float | Sequence[float] = 4.0, sides: str = "", checks: str = ""
) -> Participant:
    """Somebody who answers the prompts in order, a character each.

    `answers`: "0" or "1" is the arm that is chosen, "-" no preference, "." no vote yet. `sides`: for each prompt the
    arm shown on the left; alternating where not said, the other way round for the next participant. `checks`: an
    attention check each, "+" answered right, "x" wrong.
    """
    number = study.participants.count() + 1
    ended = {"finished_at": timezone.now(), "completion_code": "CODE"} if "." not in answers else {}
    somebody = Participant.objects.create(
        study=study, number=number, link=study.links.earliest("pk"), digest=f"{study.pk}-{number}", **ended
    )
    study.started = number
    study.save(update_fields=["started"])
    images = {(row.prompt.position, row.arm.position): row for row in _images(study)}
    left = [int(side) for side in sides] or [(position + number) % 2 for position in range(len(answers))]
    trials = [
        Trial(
            participant=somebody,
            position=i,
            prompt=images[i, 0].prompt,
            left=images[i, on_left],
            right=images[i, 1 - on_left],
        )
        for i, on_left in enumerate(left)
    ]
    said = [
        None if answer == "." else Side.NONE if answer == "-" else Side.LEFT if int(answer) == on_left else Side.RIGHT
        for answer, on_left in zip(answers, left, strict=True)
    ]
    for place, answer in enumerate(checks):
        own, other = images[place, 0], images[place + 1, 0]
        trials.append(
            Trial(participant=somebody, position=len(trials), prompt=own.prompt, left=own, right=other, expected="left")
        )
        said.append(Side.LEFT if answer == "+" else Side.RIGHT)
    times = [float(seconds)] * len(trials) if isinstance(seconds, (int, float)) else list(seconds)
    Vote.objects.bulk_create(
        Vote(trial=trial, side=side, seconds=time)
        for trial, side, time in zip(Trial.objects.bulk_create(trials), said, times, strict=True)
        if side is not None
    )
    return somebody


def _images(study: Study) -> Any:
    return Image.objects.filter(prompt__study=study, superseded=False).select_related("prompt", "arm")


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
