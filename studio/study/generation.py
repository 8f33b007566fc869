"""Drawing a study's pictures: a job of the light queue that makes what is missing or was rejected."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.db import transaction

from simcore.events import Event, Finished
from studio.accounts.models import User
from studio.celery import LIGHT_QUEUE
from studio.jobs.lifecycle import IllegalMove, JobState, UserAction
from studio.jobs.models import Job
from studio.jobs.services import job_act, job_create
from studio.study.arms import arm_problems, arm_reference, arms_of
from studio.study.lifecycle import StudyRefused, StudyState
from studio.study.models import Arm, Image, Study
from studio.study.pictures import image_put, live_images
from studio.study.prompts import Line
from studio.study.services import require_state, study_locked, study_move
from studio.study.storage import study_folder


class StudyImages:
    """The kind of job; its spec lists the pictures with everything that settles them but where the models lie."""

    name = "study-images"
    queue = LIGHT_QUEUE

    def prepare(self, job: Job, folder: Path) -> list[str]:
        """Write the requests. Raises OSError where a checkpoint's file went meanwhile."""
        study = Study.objects.get(pk=job.spec["study"])
        try:
            sources = {arm.pk: arm_reference(arm) for arm in arms_of(study) if arm.kind != Arm.Kind.UPLOAD}
        except StudyRefused as refusal:
            raise OSError(str(refusal)) from None
        names = ("name", "label", "seed", "steps")
        wanted = [
            {key: image[key] for key in names} | {"source": sources[image["arm"]]} for image in job.spec["images"]
        ]
        requests = folder / "requests.json"
        requests.write_text(json.dumps(wanted))
        out = study_folder(study.pk) / images_folder(job)
        return ["draw", f"--requests={requests}", f"--out={out}", "--pipe"]

    def project(self, job: Job, events: Sequence[Event]) -> list[dict[str, Any]]:
        """Enter the pictures once all are there, and bring the study to its review."""
        for event in events:
            if isinstance(event, Finished):
                _enter(job, event.summary["images"])
        return [event.model_dump() for event in events]


STUDY_IMAGES = StudyImages()


def images_folder(job: Job) -> str:
    """Where an attempt of the job writes, relative to the study's folder."""
    return f"images/{job.pk}-{job.attempt}"


def image_seed(study_seed: int, position: int, version: int) -> int:
    """The seed, 48 bits, of a prompt's picture: the same for both arms, another for a picture that is drawn anew."""
    return int.from_bytes(sha256(f"{study_seed}:{position}:{version}".encode()).digest()[:6])


# ---- what people ask for


def images_start(study: Study, actor: User) -> Study:
    """Draw what is missing or rejected; with nothing to draw, the study goes to its review at once.

    Raises StudyRefused with everything that is in the way.
    """
    with transaction.atomic():
        study = study_locked(study.pk)
        require_state(study, "images can be drawn", StudyState.DRAFT, StudyState.REVIEW)
        if problems := drawing_problems(study):
            raise StudyRefused(" ".join(problems))
        wanted = _wanted(study)
        if not wanted and study.state == StudyState.REVIEW:
            raise StudyRefused("No image is missing or rejected that could be drawn: there is nothing to draw anew.")
        if not wanted:
            return study_move(study, StudyState.REVIEW, actor.get_username(), "every image is there")
        spec = {"study": study.pk, "from": study.state, "images": wanted}
        study.job = job_create(kind=STUDY_IMAGES, owner=actor, spec=spec, total_steps=len(wanted))
        study.save(update_fields=["job"])
        return study_move(study, StudyState.GENERATING, actor.get_username(), f"{len(wanted)} images to draw")


def images_cancel(study: Study, actor: User) -> None:
    """Stop the drawing; the study goes back to where it was. Raises StudyRefused."""
    require_state(study, "its drawing can be cancelled", StudyState.GENERATING)
    assert study.job is not None
    try:
        job_act(study.job, UserAction.CANCEL, actor=actor.get_username())
    except IllegalMove:
        raise StudyRefused("The drawing has just ended: there is nothing to cancel.") from None


def drawing_problems(study: Study) -> list[str]:
    """What is in the way of drawing the pictures, for people; empty where nothing is."""
    arms, prompts = arms_of(study), list(study.prompts.all())
    problems = [f"Arm {'AB'[place]} is not chosen." for place in (0, 1) if place not in {arm.position for arm in arms}]
    if not prompts:
        return [*problems, "There are no prompts."]
    if len(prompts) != study.prompts_wanted:
        problems.append(
            f"The study is to have {study.prompts_wanted} prompts and has {len(prompts)}: draw them anew, or "
            "change the number in its settings."
        )
    lines = [Line(prompt.text, prompt.label) for prompt in prompts]
    for arm in arms:
        problems += arm_problems(arm, lines)
        if arm.kind == Arm.Kind.UPLOAD and live_images(study).filter(arm=arm).count() < len(prompts):
            problems.append(f"The images of {arm.label} are not uploaded.")
    return problems


def _wanted(study: Study) -> list[dict[str, Any]]:
    """The pictures to draw: of drawn arms those that are not there, or were rejected."""
    good = {(image.prompt_id, image.arm_id) for image in live_images(study).exclude(review=Image.Review.REJECTED)}
    wanted = []
    for arm in arms_of(study):
        if arm.kind == Arm.Kind.UPLOAD:
            continue
        arm_reference(arm)  # whose file may be gone
        versions = _versions(arm)
        wanted += [
            {
                "name": f"{prompt.position + 1}-{'ab'[arm.position]}", "prompt": prompt.pk, "arm": arm.pk,
                "label": prompt.label, "steps": arm.steps,
                "seed": image_seed(study.seed, prompt.position, versions.get(prompt.pk, 0)),
            }
            for prompt in study.prompts.all()
            if (prompt.pk, arm.pk) not in good
        ]  # fmt: skip
    return wanted


def _versions(arm: Arm) -> dict[int, int]:
    """How often each prompt has been drawn, by its key."""
    drawn = arm.images.filter(seed__isnull=False).values_list("prompt_id", flat=True)
    return {prompt: list(drawn).count(prompt) for prompt in set(drawn)}


# ---- how it ends


def _enter(job: Job, drawn: list[dict[str, Any]]) -> None:
    study = Study.objects.select_for_update(of=("self",)).filter(pk=job.spec["study"], job=job).first()
    if study is None or study.state != StudyState.GENERATING:
        _remove_attempts(job, job.spec["study"], kept="")
        return
    facts = {image["name"]: image for image in drawn}
    prompts, arms = study.prompts.in_bulk(), study.arms.in_bulk()
    for image in job.spec["images"]:
        made = facts[image["name"]]
        path = f"{images_folder(job)}/{image['name']}.png"
        extra = {"seed": image["seed"], "nfe": made["nfe"], "sampler": made["sampler"]}
        image_put(prompts[image["prompt"]], arms[image["arm"]], path, made, **extra)
    study_move(study, StudyState.REVIEW, "the studio", f"{len(drawn)} images are drawn")
    _remove_attempts(job, study.pk, kept=Path(images_folder(job)).name)


def on_job_ended(sender: type[Job], job: Job, **_: Any) -> None:
    """Where the drawing came to nothing, the study goes back to where it was, with the reason."""
    if job.kind != STUDY_IMAGES.name or job.state == JobState.SUCCEEDED:
        return
    study = Study.objects.filter(job=job, state=StudyState.GENERATING).first()
    if study is None:
        return
    study_move(study, StudyState(job.spec["from"]), "the studio", job.reason or "its drawing was cancelled")
    _remove_attempts(job, study.pk, kept="")


def _remove_attempts(job: Job, study_id: int, *, kept: str) -> None:
    """Remove what the job's attempts wrote but for the folder `kept`, once the caller's transaction is done."""
    left = [path for path in (study_folder(study_id) / "images").glob(f"{job.pk}-*") if path.name != kept]

    def remove() -> None:
        for folder in left:
            shutil.rmtree(folder, ignore_errors=True)

    transaction.on_commit(remove)
