"""The demo study: teacher against student on the digits, made by the studio once its demo run has succeeded."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.db import transaction

from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.runs.models import Run
from studio.study.arms import arms_of_run, class_lines
from studio.study.generation import images_start
from studio.study.models import Study
from studio.study.prompts import prompts_draw
from studio.study.services import study_create

logger = logging.getLogger(__name__)

TITLE = "Digits: teacher or student?"
INSTRUCTIONS = "The images are handwritten digits of 8×8 pixels, enlarged. Computer programs have made all of them."


def on_job_ended(sender: type[Job], job: Job, **_: Any) -> None:
    """Make the study when the demo run succeeds, which it does once. Where that fails, the run has succeeded anyway."""
    if job.state != JobState.SUCCEEDED or not settings.ENVIRONMENT.demo:
        return
    run = Run.objects.filter(pk=job.pk, demo=True).select_related("teacher", "job__owner").first()
    if run is None:
        return
    try:
        with transaction.atomic():
            demo_study_create(run)
    except Exception:  # whatever it is: the run's end must not depend on it
        logger.exception("the demo study is left out")


def demo_study_create(run: Run) -> Study:
    """The run's teacher against its student over the classes, the images on their way. Raises StudyRefused."""
    owner = run.job.owner
    study = study_create(owner=owner, title=TITLE, instructions=INSTRUCTIONS)
    arms_of_run(study, owner, run)
    prompts_draw(
        study, owner, class_lines(study), number=study.prompts_wanted, seed=study.seed,
        origin="the classes of the arms", again=True,
    )  # fmt: skip
    return images_start(study, owner)
