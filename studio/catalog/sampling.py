"""Pictures of what a teacher draws: a small job of the light queue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.db import transaction

from simcore.dataset_card import SAMPLES
from simcore.events import Event, Finished
from studio.accounts.models import User
from studio.catalog.models import Teacher
from studio.catalog.refusals import Conflict
from studio.catalog.storage import entry_folder, remove_entry_files
from studio.celery import LIGHT_QUEUE
from studio.jobs.lifecycle import ENDED_STATES
from studio.jobs.models import Job
from studio.jobs.services import job_create

COUNT = 40
HEUN_STEPS = 18


class TeacherSampling:
    """The kind of job; its spec names the teacher."""

    name = "sample-teacher"
    queue = LIGHT_QUEUE

    def prepare(self, job: Job, folder: Path) -> list[str]:
        out = entry_folder(job.pk, job.attempt)
        out.mkdir(parents=True, exist_ok=True)
        return [
            "sample", f"--checkpoint={job.spec['reference']}", f"--count={COUNT}", f"--steps={HEUN_STEPS}",
            f"--out={out / SAMPLES}", "--pipe",
        ]  # fmt: skip

    def project(self, job: Job, events: Sequence[Event]) -> list[dict[str, Any]]:
        """The teacher shows the new picture; one that was deleted meanwhile needs none."""
        if any(isinstance(event, Finished) for event in events):
            folder = entry_folder(job.pk, job.attempt)
            teacher = Teacher.objects.filter(pk=job.spec["teacher"]).first()
            if teacher is None:
                transaction.on_commit(lambda: remove_entry_files(folder.name))
            else:
                teacher.samples = str(folder / SAMPLES)
                teacher.save()
        return [event.model_dump() for event in events]


SAMPLE_TEACHER = TeacherSampling()


def sampling_of(teacher: Teacher) -> Job | None:
    """The newest job that draws its samples."""
    return Job.objects.filter(kind=SAMPLE_TEACHER.name, spec__teacher=teacher.pk).order_by("-pk").first()


def teacher_sample(teacher: Teacher, actor: User) -> Job:
    """Queue the drawing of samples. Raises Conflict while one is under way."""
    with transaction.atomic():
        Teacher.objects.select_for_update().get(pk=teacher.pk)
        running = sampling_of(teacher)
        if running is not None and running.state not in ENDED_STATES:
            raise Conflict("Samples are being drawn already.")
        spec = {"teacher": teacher.pk, "reference": teacher.reference}
        return job_create(kind=SAMPLE_TEACHER, owner=actor, spec=spec, total_steps=1)
