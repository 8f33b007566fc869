"""The demo study: the studio makes it when its demo run succeeds, once, and never at the run's expense."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from simcore import events
from simcore.presets import find_preset
from studio.celery import LIGHT_QUEUE
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.jobs.services import job_end
from studio.runs.deletion import run_delete
from studio.runs.distillation import run_folder
from studio.runs.models import Checkpoint, Run
from studio.runs.services import RunRefused, demo_run_create, run_create
from studio.study.demo import TITLE
from studio.study.generation import images_cancel
from studio.study.lifecycle import StudyState
from studio.study.models import Study
from studio.study.services import study_delete
from tests.studio.builders import checkpoint, claim, record, started, token_of
from tests.studio.study.test_generation import finish

pytestmark = pytest.mark.usefixtures("redis_server")


@pytest.fixture
def demo_run(user: Any, teacher: Any) -> Run:
    run = demo_run_create(user)
    assert run is not None
    return run


def end(state: JobState = JobState.SUCCEEDED, *steps: int) -> Job:
    """The waiting run, claimed, with checkpoints at these steps (two where not said), and ended."""
    job = claim()
    record(job, started())
    for step in steps or (1_000, 2_500):
        record(job, checkpoint(step))
    for saved in Checkpoint.objects.filter(run_id=job.pk):
        file = run_folder(job.pk) / saved.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"full")
    job_end(job.pk, token_of(job), state)
    return Job.objects.get(pk=job.pk)


def test_the_demo_run_leaves_a_study_of_its_last_student(user: Any, demo_run: Run) -> None:
    end()
    study = Study.objects.get()
    assert (study.title, study.owner, study.state) == (TITLE, user, StudyState.GENERATING)
    teacher, student = study.arms.order_by("position")
    assert (teacher.teacher, teacher.steps) == (demo_run.teacher, 18)
    assert student.checkpoint is not None
    assert (student.checkpoint.run, student.checkpoint.step, student.checkpoint.kept) == (demo_run, 2_500, True)
    classes = Counter(study.prompts.values_list("label", flat=True))
    assert (classes.total(), set(classes), set(classes.values())) == (17, set(range(10)), {1, 2})
    assert {prompt.text for prompt in study.prompts.filter(label=3)} == {"the digit 3"}


def test_once_a_light_worker_has_drawn_them_the_study_waits_for_its_review(demo_run: Run) -> None:
    end()
    job = claim(queue=LIGHT_QUEUE)
    record(job, started())
    finish(job)
    assert Study.objects.get().state == StudyState.REVIEW
    assert len(job.spec["images"]) == 34


def test_other_runs_of_the_same_settings_leave_none(user: Any, demo_run: Run) -> None:
    run_create(owner=user, name="Demo: digits", preset="digits-demo", spec=find_preset("digits-demo").spec)
    end(JobState.CANCELLED)
    end()
    assert not Study.objects.exists()


def test_a_demo_run_that_fails_leaves_its_study_when_it_is_tried_again(demo_run: Run) -> None:
    job = end(JobState.FAILED, 1_000)
    assert not Study.objects.exists()
    Job.objects.filter(pk=job.pk).update(state=JobState.QUEUED)
    end(JobState.SUCCEEDED, 2_500)
    assert Study.objects.count() == 1


def test_a_studio_without_demo_makes_none(settings: Any, demo_run: Run) -> None:
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"demo": False})
    end()
    assert not Study.objects.exists()


def test_a_study_that_was_deleted_stays_away(user: Any, demo_run: Run) -> None:
    end()
    study = Study.objects.get()
    images_cancel(study, user)
    study_delete(study, user)
    assert demo_run_create(user) is None
    run_create(owner=user, name="again", preset="digits-demo", spec=find_preset("digits-demo").spec)
    end()
    assert not Study.objects.exists()


def test_the_run_is_not_deleted_under_its_study(user: Any, demo_run: Run) -> None:
    end()
    with pytest.raises(RunRefused, match="used by the study Digits: teacher or student"):
        run_delete(Run.objects.get(pk=demo_run.pk), actor=user)


def test_where_it_cannot_be_made_the_run_has_succeeded_all_the_same(
    demo_run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    job = claim()
    record(job, started(), events.Log(message="no checkpoint is saved"))
    job_end(job.pk, token_of(job), JobState.SUCCEEDED)
    assert Job.objects.get(pk=job.pk).state == JobState.SUCCEEDED
    assert not Study.objects.exists()
    assert not Checkpoint.objects.exists()
    assert "the demo study is left out" in caplog.text
    assert "has no checkpoint" in caplog.text


def test_a_file_that_is_gone_leaves_nothing_half_made(demo_run: Run, caplog: pytest.LogCaptureFixture) -> None:
    job = claim()
    record(job, started(), checkpoint(2_500))
    job_end(job.pk, token_of(job), JobState.SUCCEEDED)
    assert Job.objects.get(pk=job.pk).state == JobState.SUCCEEDED
    assert not Study.objects.exists()
    assert not Checkpoint.objects.get().kept
    assert "file is gone" in caplog.text
