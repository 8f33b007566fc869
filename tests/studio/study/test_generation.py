"""Drawing a study's images: by a real worker, and what comes of it when it fails."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.test import Client
from PIL import Image as Pixels

from simcore import events
from studio.celery import LIGHT_QUEUE
from studio.jobs.lifecycle import JobState, UserAction
from studio.jobs.models import Job
from studio.jobs.services import job_act, job_end
from studio.study.arms import arm_set
from studio.study.generation import drawing_problems, image_seed, images_cancel, images_folder, images_start
from studio.study.lifecycle import StudyRefused, StudyState
from studio.study.models import Image, Study
from studio.study.pictures import live_images
from studio.study.prompts import Line, prompts_set
from studio.study.review import image_approve, image_reject
from studio.study.services import study_create
from studio.study.storage import image_path, study_folder
from tests.studio.builders import claim, record, started, token_of
from tests.studio.study.builders import archive_of, upload
from workers.attempt import run_attempt

pytestmark = pytest.mark.usefixtures("redis_server")


@pytest.fixture
def study(user: Any, teacher: Any) -> Study:
    """A draft over two classes: arm A the teacher, arm B uploaded, without its images."""
    study = study_create(owner=user, title="Which is better?", seed=5)
    prompts_set(study, user, [Line("the digit 3", 3), Line("the digit 4", 4)])
    arm_set(study, user, position=0, kind="teacher", teacher=teacher, steps=2)
    arm_set(study, user, position=1, kind="upload")
    return Study.objects.get(pk=study.pk)


def drawing(study: Study, user: Any) -> Job:
    """The job, claimed and running."""
    upload(study, user, 1, archive_of(2))
    images_start(study, user)
    job = claim(queue=LIGHT_QUEUE)
    record(job, started())
    return job


def finish(job: Job) -> None:
    """As the drawing process would, with one file for each image."""
    made = []
    for image in job.spec["images"]:
        file = study_folder(job.spec["study"]) / images_folder(job) / f"{image['name']}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Pixels.new("RGB", (8, 8)).save(file)
        made.append({"name": image["name"], "sha256": "0" * 64, "width": 8, "height": 8, "nfe": 3, "sampler": "Heun"})
    record(job, events.Finished(step=len(made), summary={"images": made}))
    job_end(job.pk, token_of(job), JobState.SUCCEEDED)


def state(study: Study) -> str:
    return Study.objects.get(pk=study.pk).state


@pytest.mark.django_db(transaction=True)
def test_a_worker_draws_the_missing_images_and_the_study_goes_to_its_review(user: Any, study: Study) -> None:
    upload(study, user, 1, archive_of(2))
    assert images_start(study, user).state == StudyState.GENERATING
    job = claim(queue=LIGHT_QUEUE)
    run_attempt(job, threading.Event())
    job.refresh_from_db()
    assert (job.state, job.reason) == (JobState.SUCCEEDED, "")
    assert state(study) == StudyState.REVIEW
    drawn = live_images(study).filter(arm__position=0)
    assert [(image.prompt.label, image.nfe, image.sampler, image.review) for image in drawn] == [
        (3, 3, "Heun, 2 steps", "pending"),
        (4, 3, "Heun, 2 steps", "pending"),
    ]
    assert [image.seed for image in drawn] == [image_seed(5, 0, 0), image_seed(5, 1, 0)]
    for image in drawn:
        with Pixels.open(image_path(image)) as file:
            assert (file.format, file.mode, file.size, file.info) == ("PNG", "RGB", (image.width, image.height), {})


def test_a_rejected_image_is_drawn_again_with_another_seed_and_the_others_stay(user: Any, study: Study) -> None:
    finish(drawing(study, user))
    one, other = live_images(study).filter(arm__position=0)
    image_reject(one, user, "six fingers")
    image_approve(other, user)
    images_start(study, user)
    job = claim(queue=LIGHT_QUEUE)
    assert [image["prompt"] for image in job.spec["images"]] == [one.prompt_id]
    record(job, started())
    finish(job)
    new, same = live_images(study).filter(arm__position=0)
    assert same == other
    assert new.seed != one.seed
    assert new.review == Image.Review.PENDING
    one.refresh_from_db()
    assert one.superseded
    assert one.reason == "six fingers"
    with pytest.raises(StudyRefused, match="nothing to draw anew"):
        images_start(study, user)


def test_both_arms_start_from_the_same_noise(user: Any, study: Study, teacher: Any) -> None:
    arm_set(study, user, position=1, kind="teacher", teacher=teacher, steps=1)
    images_start(study, user)
    images = claim(queue=LIGHT_QUEUE).spec["images"]
    assert len({image["seed"] for image in images}) == 2
    assert len({image["name"] for image in images}) == 4


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.django_db(transaction=True)
def test_a_failed_drawing_takes_the_study_back_to_where_it_was_with_the_reason(
    user: Any, study: Study, again: bool
) -> None:
    job = drawing(study, user)
    if again:
        finish(job)
        image_reject(live_images(study)[0], user, "blurred")
        images_start(study, user)
        job = claim(queue=LIGHT_QUEUE)
        record(job, started())
    left = study_folder(study.pk) / images_folder(job)
    left.mkdir(parents=True)
    before = list(live_images(study))
    record(job, events.Failed(step=0, reason="out of memory"))
    job_end(job.pk, token_of(job), JobState.FAILED, reason="out of memory")
    assert state(study) == (StudyState.REVIEW if again else StudyState.DRAFT)
    event = study.events.first()
    assert event is not None
    assert event.detail["why"] == "out of memory"
    assert list(live_images(study)) == before
    assert not left.exists()
    assert images_start(study, user).state == StudyState.GENERATING, "it can be tried again"


def test_the_page_shows_the_progress_and_then_why_it_failed(ada: Client, user: Any, study: Study) -> None:
    job = drawing(study, user)
    record(job, events.Metrics(step=1, values={"images": 1}))
    address = f"/studies/{study.pk}/"
    page = ada.get(address).content.decode()
    assert "1 of 2 images are drawn." in page
    assert "Cancel the drawing" in page
    job_end(job.pk, token_of(job), JobState.FAILED, reason="out of memory")
    page = ada.get(address).content.decode()
    assert "The images were not drawn" in page
    assert "out of memory" in page
    images_start(study, user)
    assert "out of memory" not in ada.get(address).content.decode()


def test_cancelling_takes_the_study_back(user: Any, study: Study) -> None:
    upload(study, user, 1, archive_of(2))
    study = images_start(study, user)
    images_cancel(study, user)
    assert state(study) == StudyState.DRAFT
    with pytest.raises(StudyRefused, match="The study is draft"):
        images_cancel(Study.objects.get(pk=study.pk), user)


def test_a_job_that_is_tried_again_after_the_study_went_on_changes_nothing(user: Any, study: Study) -> None:
    old = drawing(study, user)
    job_end(old.pk, token_of(old), JobState.FAILED, reason="out of memory")
    images_start(study, user)
    new = claim(queue=LIGHT_QUEUE)
    job_act(old, UserAction.RETRY, actor="ada")
    old = claim(queue=LIGHT_QUEUE)
    record(old, started())
    finish(old)
    assert state(study) == StudyState.GENERATING
    record(new, started())
    finish(new)
    assert state(study) == StudyState.REVIEW


def test_everything_in_the_way_is_named(user: Any, study: Study) -> None:
    prompts_set(study, user, [Line("a cat"), Line("the digit 4", 4)])
    Study.objects.filter(pk=study.pk).update(prompts_wanted=3)
    with pytest.raises(StudyRefused) as refusal:
        images_start(study, user)
    for said in ("3 prompts and has 2", "prompt 1 is without a class", "Uploaded images B are not uploaded"):
        assert said in str(refusal.value)
    empty = study_create(owner=user, title="Nothing yet")
    assert drawing_problems(empty) == ["Arm A is not chosen.", "Arm B is not chosen.", "There are no prompts."]
    assert state(study) == state(empty) == StudyState.DRAFT
    assert not Job.objects.filter(kind="study-images").exists()
