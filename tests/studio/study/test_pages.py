"""The pages on which a study is built, as a browser without scripts and as htmx use them."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from studio.accounts.models import Role, User
from studio.jobs.lifecycle import JobState
from studio.runs.models import Checkpoint
from studio.study.lifecycle import StudyState
from studio.study.models import Arm, Study
from studio.study.pictures import live_images
from studio.study.services import study_create
from studio.study.storage import image_path
from tests.studio.builders import bring_to
from tests.studio.study.builders import (
    approved_study,
    archive_of,
    draft_study,
    open_study,
    png,
    review_study,
    some_image,
)

HTMX = {"HX-Request": "true"}
SETTINGS = {
    "title": "Ours", "question": "Which?", "instructions": "", "consent": "I agree", "prompts_wanted": "2",
    "participants_wanted": "10", "seed": "5", "checks": "0",
}  # fmt: skip


def text(response: Any) -> str:
    return " ".join(response.content.decode().split())


def test_the_list_shows_what_to_do_first_and_then_the_studies(ada: Client, user: Any) -> None:
    assert "Make the first study" in text(ada.get("/studies/"))
    draft_study(user)
    page = text(ada.get("/studies/"))
    assert 'Uploaded images A <span class="soft">against</span> Uploaded images B' in page
    assert "0 of 30" in page


def test_the_list_takes_the_same_queries_for_ten_studies_and_a_thousand(ada: Client, user: Any) -> None:
    def fill(number: int) -> None:
        rows = [Study(owner=user, title=f"study {count}", consent="Yes") for count in range(number)]
        arms = [Arm(study=study, position=0, label="A", kind="upload") for study in Study.objects.bulk_create(rows)]
        Arm.objects.bulk_create(arms)

    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert ada.get("/studies/").status_code == 200
        return len(context)

    fill(10)
    few = queries()
    fill(990)
    assert queries() == few <= 6


def test_a_study_is_made_from_the_form(ada: Client) -> None:
    assert "Taking part is voluntary" in text(ada.get("/studies/new/"))
    response = ada.post("/studies/new/", SETTINGS)
    study = Study.objects.get()
    assert response["Location"] == f"/studies/{study.pk}/"
    assert (study.title, study.consent, study.prompts_wanted, study.no_preference) == ("Ours", "I agree", 2, False)


def test_a_refused_form_says_where_and_keeps_what_was_sent(ada: Client) -> None:
    response = ada.post("/studies/new/", SETTINGS | {"prompts_wanted": "1000", "question": "Mine?", "consent": ""})
    assert response.status_code == 422
    page = text(response)
    assert "less than or equal to 200" in page
    assert "Mine?" in page
    assert not Study.objects.exists()


def test_settings_are_changed_and_fixed_in_their_time(ada: Client, user: Any) -> None:
    study = review_study(user, prompts=2)
    address = f"/studies/{study.pk}/settings/"
    same = SETTINGS | {"seed": str(study.seed)}
    assert ada.post(address, same).status_code == 302
    response = ada.post(address, same | {"seed": "77"})
    assert response.status_code == 422
    assert "take the study back to draft" in text(response)
    study = open_study(user)
    page = text(ada.get(f"/studies/{study.pk}/settings/"))
    assert "its settings are fixed" in page
    assert '<button class="button primary" type="submit">Save' not in page


def test_prompts_are_drawn_typed_uploaded_and_edited(ada: Client, user: Any) -> None:
    study = study_create(owner=user, title="Which?")
    address = f"/studies/{study.pk}/prompts/"
    assert ada.post(address + "draw/", {"source": "built-in", "number": "3", "seed": "1"}).status_code == 302
    assert study.prompts.count() == 3
    ada.post(address, {"typed": "a cat\n\na dog\n"})
    assert [prompt.text for prompt in study.prompts.all()] == ["a cat", "a dog"]
    ada.post(address, {"text": ["a cat", " ", "a <b>bird</b>"], "label": ["", "", "4"]})
    assert [(prompt.text, prompt.label) for prompt in study.prompts.all()] == [("a cat", None), ("a <b>bird</b>", 4)]
    assert "a &lt;b&gt;bird&lt;/b&gt;" in text(ada.get(address))
    file = SimpleUploadedFile("list.txt", b"one\ntwo\nthree\n")
    ada.post(address + "draw/", {"source": "file", "file": file, "number": "2", "seed": "1"})
    assert study.prompts.count() == 2
    assert "from list.txt" in study.events.first().what  # type: ignore[union-attr]


def test_bad_prompts_are_refused_on_the_page_and_what_was_sent_stays(ada: Client, user: Any) -> None:
    study = study_create(owner=user, title="Which?")
    address = f"/studies/{study.pk}/prompts/"
    for sent, said in (
        ({"typed": "fine\n" + "x" * 2001}, "line 2: the prompt has 2,001 characters"),
        ({"typed": ""}, "there is no prompt in it"),
        ({"text": ["a cat"], "label": ["three"]}, "Prompt 1: the class is a number"),
    ):
        response = ada.post(address, sent)
        assert response.status_code == 422
        assert said in text(response)
    assert 'value="three"' in text(response)
    for sent, said in (
        ({"source": "file", "number": "3", "seed": "1"}, "Choose the file of your list"),
        (
            {"source": "file", "file": SimpleUploadedFile("a.txt", b"one"), "number": "3", "seed": "1"},
            "has 1 different",
        ),
        ({"source": "file", "file": SimpleUploadedFile("a.txt", b"\xff"), "number": "3", "seed": "1"}, "not UTF-8"),
        ({"source": "classes", "number": "3", "seed": "1"}, "Select a valid choice"),
        ({"source": "built-in", "number": "201", "seed": "-1"}, "less than or equal to 200"),
    ):
        response = ada.post(address + "draw/", sent)
        assert response.status_code == 422
        assert said in text(response)
    assert not study.prompts.exists()


def test_classes_of_the_arms_are_offered_and_drawn(ada: Client, user: Any, teacher: Any) -> None:
    study = study_create(owner=user, title="Which?")
    sent = {"position": "0", "kind": "teacher", "teacher": teacher.pk, "steps": "9", "label": ""}
    assert ada.post(f"/studies/{study.pk}/arms/", sent).status_code == 302
    address = f"/studies/{study.pk}/prompts/"
    assert "The 10 classes of the arms" in text(ada.get(address))
    ada.post(address + "draw/", {"source": "classes", "number": "17", "seed": "1"})
    assert study.prompts.filter(text="the digit 3", label=3).exists()
    assert study.prompts.count() == 17


def test_arms_are_chosen_and_a_wrong_choice_says_what_there_is(ada: Client, user: Any, run: Any) -> None:
    study = study_create(owner=user, title="Which?")
    address = f"/studies/{study.pk}/arms/"
    Checkpoint.objects.create(run=run, attempt=1, step=50, path="50", size=1, sha256="0")
    for sent, said in (
        ({"kind": "checkpoint", "run": run.pk, "step": "51"}, "There is no checkpoint at that step; there are: 50"),
        ({"kind": "checkpoint"}, "Choose the run and the step"),
        ({"kind": "teacher"}, "Choose the teacher"),
        ({"kind": "teacher", "teacher": "9999"}, "Select a valid choice"),
        ({}, "This field is required"),
    ):
        response = ada.post(address, {"position": "1"} | sent)
        assert response.status_code == 422
        assert said in text(response)
    assert ada.post(address, {"position": "1", "kind": "checkpoint", "run": run.pk, "step": ""}).status_code == 302
    assert study.arms.get(position=1).label == "first, step 50"
    assert "Arm B: first, step 50" in text(ada.get(address))


def test_a_study_is_made_from_the_page_of_a_run(ada: Client, user: Any, run: Any) -> None:
    assert "Compare with people" not in text(ada.get(f"/runs/{run.pk}/"))
    address = f"/studies/new/?run={run.pk}"
    assert "first has no checkpoint" in text(ada.post(address, SETTINGS))
    assert not Study.objects.exists()
    bring_to(run, JobState.SUCCEEDED)
    for step in (50, 100):
        Checkpoint.objects.create(run=run, attempt=1, step=step, path=f"{step}", size=1, sha256="0")
    assert f'href="{address}"' in text(ada.get(f"/runs/{run.pk}/"))
    assert "arm B its newest student" in text(ada.get(address))
    assert ada.post(address, SETTINGS).status_code == 302
    teacher, student = Study.objects.get().arms.order_by("position")
    assert (teacher.teacher, teacher.steps) == (run.teacher, 18)
    assert student.checkpoint is not None
    assert student.checkpoint.step == 100
    for wrong in ("999", "x", "9" * 30):
        assert ada.get(f"/studies/new/?run={wrong}").status_code == 404


def test_an_archive_is_uploaded_or_refused_by_name(ada: Client, user: Any) -> None:
    study = draft_study(user, prompts=2)
    address = f"/studies/{study.pk}/arms/upload/"

    def send(content: bytes) -> Any:
        return ada.post(address, {"position": "1", "file": SimpleUploadedFile("ours.zip", content)})

    assert send(archive_of(2)).status_code == 302
    assert live_images(study).filter(arm__position=1).count() == 2
    response = send(b"no zip")
    assert response.status_code == 422
    assert "ours.zip is not a zip archive" in text(response)
    assert "Choose the zip archive" in text(ada.post(address, {"position": "1"}))
    assert live_images(study).count() == 2


def test_the_overview_names_what_is_in_the_way_and_offers_what_can_be_done(ada: Client, user: Any) -> None:
    study = study_create(owner=user, title="Which?")
    page = text(ada.get(f"/studies/{study.pk}/"))
    assert "Arm A is not chosen." in page
    assert 'type="submit" disabled>Draw the images' in page
    study = review_study(user, prompts=1)
    page = text(ada.get(f"/studies/{study.pk}/"))
    assert "2 images not approved: prompt 1, arm A: not reviewed; prompt 1, arm B: not reviewed." in page
    assert 'type="submit" disabled>Open the study' in page


def test_the_study_opens_and_closes_by_its_buttons(ada: Client, user: Any) -> None:
    study = approved_study(user)
    for action, state in (("open", "open"), ("close", "closed"), ("reopen", "open")):
        assert ada.post(f"/studies/{study.pk}/actions/{action}/").status_code == 302
        study.refresh_from_db()
        assert study.state == state
    response = ada.post(f"/studies/{study.pk}/actions/draw/", follow=True)
    assert "The study is open: images can be drawn while it is draft or in review" in text(response)
    assert ada.post(f"/studies/{study.pk}/actions/explode/").status_code == 404


def test_images_are_judged_with_and_without_scripts(ada: Client, user: Any) -> None:
    study = review_study(user)
    first, second, *_ = live_images(study)
    response = ada.post(f"/studies/{study.pk}/images/{first.pk}/review/", {"verdict": "approved"})
    assert response["Location"] == f"/studies/{study.pk}/review/#image-{first.pk}"
    page = text(ada.get(f"/studies/{study.pk}/review/"))
    assert "1 of 6 approved" in page
    assert "by ada," in page
    address = f"/studies/{study.pk}/images/{second.pk}/review/"
    part = text(ada.post(address, {"verdict": "rejected", "reason": " "}, headers=HTMX))
    assert "Say why it is rejected." in part
    part = text(ada.post(address, {"verdict": "rejected", "reason": "a <i>watermark"}, headers=HTMX))
    assert 'data-review="rejected"' in part
    assert "a &lt;i&gt;watermark" in part
    assert 'hx-swap-oob="true"' in part
    assert "1 of 6 approved</strong>, 1 rejected" in part
    assert "An image is approved or rejected" in text(ada.post(address, {"verdict": "maybe"}, follow=True))


def test_an_image_that_can_no_longer_be_judged_comes_back_without_the_forms(ada: Client, user: Any) -> None:
    study = open_study(user)
    image = live_images(study)[0]
    part = text(ada.post(f"/studies/{study.pk}/images/{image.pk}/review/", {"verdict": "approved"}, headers=HTMX))
    assert "The study is open" in part
    assert "<form" not in part


def test_a_rejected_image_is_replaced_by_a_file(ada: Client, user: Any) -> None:
    study = review_study(user)
    image = live_images(study)[0]
    ada.post(f"/studies/{study.pk}/images/{image.pk}/review/", {"verdict": "rejected", "reason": "blurred"})
    address = f"/studies/{study.pk}/images/{image.pk}/replace/"
    assert "Choose the picture" in text(ada.post(address, follow=True))
    assert "a.png is not a PNG" in text(ada.post(address, {"file": SimpleUploadedFile("a.png", b"?")}, follow=True))
    ada.post(address, {"file": SimpleUploadedFile("a.png", png(200))})
    assert live_images(study)[0] != image


def test_image_files_are_for_signed_in_people(ada: Client, client: Client, user: Any) -> None:
    study = review_study(user)
    image = live_images(study)[0]
    address = f"/studies/{study.pk}/images/{image.pk}.png"
    response = ada.get(address)
    assert (response["Content-Type"], response.content) == ("image/png", image_path(image).read_bytes())
    assert response["Cache-Control"].startswith("private")
    assert Client().get(address).status_code == 302
    assert ada.get(f"/studies/{review_study(user).pk}/images/{image.pk}.png").status_code == 404, "of another study"
    assert ada.get(f"/studies/{some_image(user).arm.study_id}/images/{image.pk + 100}.png").status_code == 404
    image.path = "../../studio.sqlite3"
    image.save()
    assert ada.get(address).status_code == 404


def test_viewers_look_and_change_nothing(user: Any) -> None:
    study = review_study(user)
    client = Client()
    client.force_login(User.objects.create_user("vic", role=Role.VIEWER))
    for page in ("", "settings/", "prompts/", "arms/", "review/", "audit/"):
        response = client.get(f"/studies/{study.pk}/{page}")
        assert response.status_code == 200
        main = text(response).split("<main", 1)[1]
        assert "<form" not in main.split("<dialog", 1)[0], page


def test_the_audit_trail_shows_who_did_what(ada: Client, user: Any) -> None:
    study = approved_study(user, prompts=2)
    ada.post(f"/studies/{study.pk}/settings/", SETTINGS | {"seed": str(study.seed), "title": "<b>new</b>"})
    page = text(ada.get(f"/studies/{study.pk}/audit/"))
    assert "<strong>ada</strong> approved the image of prompt 1, arm A" in page
    assert "title: Which is better? → &lt;b&gt;new&lt;/b&gt;" in page
    assert "prompt 1: nothing → prompt 1" in page
    assert "moved it from draft to in review" in page


def test_a_clone_belongs_to_who_made_it_and_a_draft_is_deleted_from_its_page(ada: Client, user: Any) -> None:
    study = open_study(user)
    other = Client()
    eve = User.objects.create_user("eve", role=Role.RESEARCHER)
    other.force_login(eve)
    clone = Study.objects.get(pk=int(other.post(f"/studies/{study.pk}/clone/")["Location"].split("/")[2]))
    assert (clone.owner, clone.state) == (eve, StudyState.DRAFT)
    assert ada.post(f"/studies/{clone.pk}/delete/").status_code == 403
    assert other.post(f"/studies/{clone.pk}/delete/")["Location"] == "/studies/"
    assert "it can be deleted while it is draft" in text(ada.post(f"/studies/{study.pk}/delete/", follow=True))
    assert list(Study.objects.all()) == [study]


@pytest.mark.parametrize("page", ["", "settings/", "prompts/", "arms/", "review/", "audit/"])
@pytest.mark.parametrize("build", [draft_study, review_study, approved_study, open_study])
def test_every_state_has_its_pages(ada: Client, user: Any, build: Any, page: str) -> None:
    assert ada.get(f"/studies/{build(user, prompts=1).pk}/{page}").status_code == 200
