"""A study from the first draft to its export, by script; and what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from studio.accounts.models import Role, User
from studio.catalog.models import Upload
from studio.catalog.uploads import upload_store
from studio.jobs.models import Job
from studio.runs.models import Checkpoint
from studio.study.models import Arm, Image, Link, Study, Vote
from studio.study.pictures import live_images
from studio.study.services import study_create
from tests.studio.api.test_runs import JSON, errors
from tests.studio.study.builders import (
    approved_study,
    archive_of,
    draft_study,
    open_study,
    participate,
    png,
    review_study,
    study_with,
)
from tests.studio.study.test_exports import body, some_study

STUDIES = "/api/v1/studies"


@pytest.fixture(autouse=True)
def own_folders(settings: Any, tmp_path: Path) -> None:
    """The files of each test in a folder of its own."""
    settings.DATA = tmp_path / "data"
    settings.DATA.mkdir()
    settings.RUNS_FOLDER = settings.DATA / "runs"


def at(study: Any, path: str = "") -> str:
    number = study["id"] if isinstance(study, dict) else study.pk
    return f"{STUDIES}/{number}" + (f"/{path}" if path else "")


def post(client: Client, address: str, given: Any = None, **headers: str) -> Any:
    return client.post(address, {} if given is None else given, content_type=JSON, headers=headers or None)


def put(client: Client, address: str, given: Any) -> Any:
    return client.put(address, given, content_type=JSON)


def patch(client: Client, address: str, given: Any) -> Any:
    return client.patch(address, given, content_type=JSON)


def uploaded(user: User, content: bytes) -> str:
    parts = ContentFile(content).chunks()
    return str(upload_store(owner=user, name="images.zip", size=len(content), chunks=parts).pk)


def test_a_study_from_draft_to_open_by_script(ada: Client, user: User) -> None:
    answer = post(ada, STUDIES, {"title": "Ours", "prompts_wanted": 2, "seed": 5})
    assert answer.status_code == 201
    study = answer.json()
    assert answer["Location"] == at(study)
    assert (study["state"], study["owner"], study["checks"], study["arms"]) == ("draft", "ada", 0, [])
    assert "Arm A is not chosen." in study["problems"]
    sent = {"prompts": [{"text": "a cat"}, {"text": " a dog ", "label": None}]}
    rows = put(ada, at(study, "prompts"), sent).json()["results"]
    assert rows == [{"number": 1, "text": "a cat", "label": None}, {"number": 2, "text": "a dog", "label": None}]
    for arm, shade in (("A", 0), ("B", 100)):
        told = put(ada, at(study, f"arms/{arm}"), {"kind": "upload", "label": f"arm {arm}"}).json()
        assert (told["arm"], told["label"], told["images"]) == (arm, f"arm {arm}", 0)
        number = uploaded(user, archive_of(2, shade))
        told = post(ada, at(study, f"arms/{arm}/images"), {"upload": number}).json()
        assert told["images"] == 2
    assert not Upload.objects.exists()
    told = post(ada, at(study, "actions/draw")).json()
    assert (told["state"], told["review"]["pending"], told["actions"]) == ("review", 4, ["open", "draft"])
    refused = post(ada, at(study, "actions/open"))
    assert refused.status_code == 409
    assert "4 images not approved" in refused.json()["detail"]
    images = ada.get(at(study, "images?review=pending")).json()["results"]
    assert [(image["prompt"], image["arm"]) for image in images] == [(1, "A"), (1, "B"), (2, "A"), (2, "B")]
    for image in images:
        told = put(ada, at(study, f"images/{image['id']}/review"), {"review": "approved"}).json()
        assert (told["review"], told["reviewed_by"]) == ("approved", "ada")
    assert post(ada, at(study, "actions/open")).json()["state"] == "open"
    said = [row["what"] for row in ada.get(at(study, "audit")).json()["results"]]
    assert (said[0], said[-1]) == ("moved it from in review to open", "made the study")
    assert post(ada, at(study, "actions/close")).json()["closed_at"]
    assert post(ada, at(study, "actions/reopen")).json()["state"] == "open"


def test_the_list_is_filtered_and_takes_the_same_queries_for_ten_and_a_thousand(ada: Client, user: User) -> None:
    def fill(number: int) -> None:
        rows = Study.objects.bulk_create(Study(owner=user, title=f"study {i}", consent="Yes") for i in range(number))
        Arm.objects.bulk_create(Arm(study=study, position=0, label="A", kind="upload") for study in rows)

    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert ada.get(f"{STUDIES}?page_size=200").status_code == 200
        return len(context)

    fill(10)
    few = queries()
    fill(990)
    assert queries() == few <= 8
    Study.objects.filter(title="study 3").update(state="review")
    assert ada.get(f"{STUDIES}?q=study 98").json()["count"] == 11
    assert ada.get(f"{STUDIES}?state=review&owner=ada").json()["count"] == 2
    assert ada.get(f"{STUDIES}?owner=eve").json()["count"] == 0
    assert ada.get(f"{STUDIES}?state=asleep").status_code == 400


def test_a_study_is_changed_cloned_and_deleted(ada: Client, user: User) -> None:
    study = draft_study(user)
    assert patch(ada, at(study), {"participants_wanted": 40, "no_preference": True}).json()["participants_wanted"] == 40
    clone = post(ada, at(study, "clones")).json()
    assert (clone["title"], clone["cloned_from"], clone["prompts"]) == (f"Copy of {study.title}", study.pk, 3)
    assert ada.delete(at(clone)).status_code == 204
    assert ada.get(at(clone)).status_code == 404
    review = review_study(user)
    assert ada.delete(at(review)).status_code == 409
    refused = patch(ada, at(review), {"seed": 99})
    assert (refused.status_code, "back to draft" in errors(refused)["seed"]) == (422, True)
    assert ada.get(at(study), headers={"If-None-Match": ada.get(at(study))["ETag"]}).status_code == 304


def test_a_creation_that_is_sent_again_creates_once(ada: Client, user: User) -> None:
    key = {"Idempotency-Key": "one"}
    first, second = (post(ada, STUDIES, {"title": "Ours"}, **key) for _ in range(2))
    assert first.json() == second.json()
    assert Study.objects.count() == 1
    study = open_study(user)
    links = [post(ada, at(study, "links"), {"count": 2}, **{"Idempotency-Key": "two"}).json() for _ in range(2)]
    assert links[0] == links[1]
    assert Link.objects.filter(study=study).count() == 2
    draft = draft_study(user)
    upload = {"upload": uploaded(user, archive_of(3))}
    sent = [post(ada, at(draft, "arms/A/images"), upload, **{"Idempotency-Key": "three"}) for _ in range(2)]
    assert [answer.status_code for answer in sent] == [200, 200], "the second finds the upload used up, and the answer"


@pytest.mark.parametrize(
    ("given", "status", "field"),
    [
        ({}, 400, "title"),
        ({"title": ""}, 400, "title"),
        ({"title": "a\0b"}, 400, "title"),
        ({"title": "x", "colour": "red"}, 400, "colour"),
        ({"title": "x", "checks": "2"}, 400, "checks"),
        ({"title": "x", "checks": None}, 400, "checks"),
        ({"title": "x", "prompts_wanted": 201}, 400, "prompts_wanted"),
        ({"title": "x", "seed": 2**63}, 400, "seed"),
    ],
)
def test_a_wrong_study_is_refused_with_its_field(ada: Client, given: Any, status: int, field: str) -> None:
    answer = post(ada, STUDIES, given)
    assert (answer.status_code, list(errors(answer))) == (status, [field])
    assert not Study.objects.exists()


def test_prompts_are_drawn_from_each_kind_of_list(ada: Client, user: User, teacher: Any) -> None:
    study = study_create(owner=user, title="Which?", seed=3)
    address = at(study, "prompts/draw")
    once, again = (
        post(ada, address, {"source": "built-in", "number": 5, "seed": 4}).json()["results"] for _ in range(2)
    )
    assert (len(once), once) == (5, again)
    given = [{"text": text, "label": number} for number, text in enumerate(("one", "two", "two", "three"))]
    drawn = post(ada, address, {"source": "list", "prompts": given, "number": 4}).json()["results"]
    assert {(row["text"], row["label"]) for row in drawn} == {("one", 0), ("two", 1), ("two", 2), ("three", 3)}
    put(ada, at(study, "arms/A"), {"kind": "teacher", "teacher": teacher.pk, "steps": 9})
    drawn = post(ada, address, {"source": "classes", "number": 10}).json()["results"]
    assert sorted(row["label"] for row in drawn) == list(range(10))
    assert ada.get(at(study, "prompts")).json()["results"] == drawn


@pytest.mark.parametrize(
    ("path", "given", "status", "field"),
    [
        ("prompts", {"prompts": []}, 400, "prompts"),
        ("prompts", {"prompts": ["a cat"]}, 400, "prompts.0"),
        ("prompts", {"prompts": [{"text": "a cat", "label": "3"}]}, 400, "prompts"),
        ("prompts", {"prompts": [{"text": 5}]}, 400, "prompts"),
        ("prompts", {"prompts": [{"text": "a cat", "class": 3}]}, 400, "prompts"),
        ("prompts", {"prompts": [{"text": "a\tcat"}]}, 422, "prompts"),
        ("prompts", {"prompts": [{"text": " "}]}, 422, "prompts"),
        ("prompts/draw", {"source": "dreams"}, 400, "source"),
        ("prompts/draw", {"source": "built-in", "prompts": [{"text": "a cat"}]}, 422, "prompts"),
        ("prompts/draw", {"source": "list"}, 422, "prompts"),
        ("prompts/draw", {"source": "list", "prompts": [{"text": "a cat"}], "number": 2}, 422, "number"),
        ("prompts/draw", {"source": "classes"}, 422, "source"),
        ("arms/A", {}, 400, "kind"),
        ("arms/A", {"kind": "teacher"}, 422, "teacher"),
        ("arms/A", {"kind": "teacher", "teacher": 999}, 422, "teacher"),
        ("arms/A", {"kind": "checkpoint"}, 422, "checkpoint"),
        ("arms/A", {"kind": "checkpoint", "checkpoint": 999}, 422, "checkpoint"),
        ("arms/A", {"kind": "upload", "teacher": 1}, 422, "teacher"),
        ("arms/A/images", {"upload": "nonsense"}, 400, "upload"),
        ("arms/A/images", {"upload": "3f0a5a0e-6c0f-4f0e-9b58-0d8d5a1d7f10"}, 422, "upload"),
        ("links", {}, 422, "count"),
        ("links", {"count": 2, "notes": ["x"]}, 422, "count"),
        ("links", {"count": 501}, 400, "count"),
        ("links", {"count": 1, "expires_at": "2020-01-01T00:00:00Z"}, 422, "expires_at"),
        ("links/open", {"cap": 0}, 400, "cap"),
    ],
)
def test_what_a_study_is_built_from_is_refused_with_the_field(
    ada: Client, user: User, path: str, given: Any, status: int, field: str
) -> None:
    study = draft_study(user)
    before = study.events.count()
    send = put if path in ("prompts", "arms/A", "links/open") else post
    answer = send(ada, at(study, path), given)
    assert (answer.status_code, list(errors(answer))) == (status, [field]), answer.json()
    assert study.events.count() == before


def test_a_wrong_archive_is_refused_and_stays_an_upload(ada: Client, user: User) -> None:
    study = draft_study(user)
    few = uploaded(user, archive_of(2))
    refused = post(ada, at(study, "arms/A/images"), {"upload": few})
    assert (refused.status_code, "names no file for prompt 3" in errors(refused)["upload"]) == (422, True)
    half = Upload.objects.create(owner=user, name="half.zip", size=9)
    assert "no such upload" in errors(post(ada, at(study, "arms/A/images"), {"upload": str(half.pk)}))["upload"]
    eve = User.objects.create_user("eve", role=Role.RESEARCHER)
    hers = uploaded(eve, archive_of(3))
    assert post(ada, at(study, "arms/A/images"), {"upload": hers}).status_code == 422
    assert (Upload.objects.count(), live_images(study).count()) == (3, 0)
    assert put(ada, at(study, "arms/C"), {"kind": "upload"}).status_code == 404
    assert post(ada, at(study, "actions/dance")).status_code == 404


def test_an_arm_shows_a_runs_checkpoint_which_is_kept(ada: Client, user: User, run: Any) -> None:
    checkpoint = Checkpoint.objects.create(run=run, attempt=1, step=10, path="10.safetensors", size=7, sha256="0" * 64)
    told = put(
        ada, at(draft_study(user), "arms/B"), {"kind": "checkpoint", "checkpoint": checkpoint.pk}
    ).json()  # fmt: skip
    assert (told["run"], told["step"], told["label"]) == (run.pk, 10, "first, step 10")
    checkpoint.refresh_from_db()
    assert checkpoint.kept


def test_images_are_drawn_by_a_job_which_can_be_cancelled(
    ada: Client, user: User, teacher: Any, redis_server: None
) -> None:
    study = study_create(owner=user, title="Which?", prompts_wanted=2)
    put(ada, at(study, "prompts"), {"prompts": [{"text": "3", "label": 3}, {"text": "8", "label": 8}]})
    for arm in ("A", "B"):
        put(ada, at(study, f"arms/{arm}"), {"kind": "teacher", "teacher": teacher.pk})
    told = post(ada, at(study, "actions/draw")).json()
    job = Job.objects.get()
    assert told["state"] == "generating"
    assert told["drawing"] == {"job": job.pk, "state": "queued", "step": 0, "total_steps": 4}
    assert post(ada, at(study, "actions/draw")).status_code == 409
    told = post(ada, at(study, "actions/cancel")).json()
    assert (told["state"], told["drawing"]) == ("draft", None)


def test_an_image_is_rejected_and_replaced(ada: Client, user: User) -> None:
    study = review_study(user)
    image = live_images(study)[0]
    address = at(study, f"images/{image.pk}")
    assert list(errors(put(ada, f"{address}/review", {"review": "rejected"}))) == ["reason"]
    assert list(errors(put(ada, f"{address}/review", {"review": "approved", "reason": "fine"}))) == ["reason"]
    assert list(errors(put(ada, f"{address}/review", {"review": "pending"}))) == ["review"]
    new = png(200)
    assert ada.put(f"{address}/file", new, content_type="image/png").status_code == 409, "not rejected yet"
    told = put(ada, f"{address}/review", {"review": "rejected", "reason": "blurred"}).json()
    assert (told["review"], told["reason"], told["reviewed_by"]) == ("rejected", "blurred", "ada")
    assert ada.put(f"{address}/file", b"GIF89a", content_type="image/gif").status_code == 415
    assert list(errors(ada.put(f"{address}/file", b"no picture", content_type="image/png"))) == ["file"]
    told = ada.put(f"{address}/file", new, content_type="image/png").json()
    assert (told["id"] != image.pk, told["review"], told["sampler"]) == (True, "pending", "uploaded")
    picture = ada.get(told["url"])
    assert (picture["Content-Type"], picture.content[:4]) == ("image/png", b"\x89PNG")
    assert ada.get(address).json()["superseded"]
    assert put(ada, f"{address}/review", {"review": "approved"}).status_code == 409
    other = review_study(user)
    assert ada.get(at(other, f"images/{image.pk}")).status_code == 404


def test_a_picture_of_too_many_bytes_is_refused_before_it_is_read(ada: Client, user: User) -> None:
    image = live_images(review_study(user))[0]
    answer = ada.generic(
        "PUT", at(image.arm.study, f"images/{image.pk}/file"), b"x", content_type="image/png",
        CONTENT_LENGTH=str(1 << 30),
    )  # fmt: skip
    assert answer.status_code == 413


def test_links_are_made_changed_and_withdrawn_by_those_who_may(ada: Client, user: User) -> None:
    study = open_study(user)
    link = put(ada, at(study, "links/open"), {"cap": 50, "expires_at": None}).json()
    assert (link["cap"], link["personal"], link["state"]) == (50, False, "not used")
    assert link["address"].startswith("http://testserver/vote/")
    assert put(ada, at(study, "links/open"), {}).json() == link | {"cap": None}
    made = post(ada, at(study, "links"), {"notes": ["Grace", ""]})
    assert (made.status_code, [row["note"] for row in made.json()["results"]]) == (201, ["Grace", ""])
    assert ada.get(at(study, "links?personal=true")).json()["count"] == 2
    assert ada.delete(at(study, f"links/{link['id']}")).status_code == 204
    (told,) = ada.get(at(study, "links?personal=false")).json()["results"]
    assert (told["revoked"], told["state"]) == (True, "withdrawn")
    assert put(ada, at(study, "links/open"), {}).json()["id"] != link["id"]
    assert ada.delete(at(approved_study(user), f"links/{link['id']}")).status_code == 404


def test_results_are_the_pages_with_and_without_the_excluded(ada: Client, user: User) -> None:
    study = some_study(user)
    told = ada.get(at(study, "results")).json()
    assert (told["arm"], told["other"]) == ({"arm": "A", "label": "teacher"}, {"arm": "B", "label": "student"})
    assert (told["kept"]["participants"], told["everyone"]["participants"]) == (3, 4)
    assert told["everyone"]["tally"]["wins"] == told["kept"]["tally"]["wins"] + 6
    assert told["everyone"]["tally"]["votes"] == 21
    interval = told["kept"]["headline"]
    assert (0 <= interval["low"] < told["kept"]["tally"]["share"] < interval["high"] <= 1, interval["why"]) == (
        True,
        "",
    )
    assert (told["corrections"], told["peeking"], len(told["prompts"])) == (2, True, 6)
    assert "Krippendorff" in told["methods"]


def test_results_without_votes_say_why_there_is_no_figure(ada: Client, user: User) -> None:
    told = ada.get(at(study_with(user, prompts=2), "results")).json()["kept"]
    assert told["headline"] == {"why": "nobody has voted", "low": None, "high": None}
    assert (told["test"]["p"], bool(told["test"]["why"]), told["tally"]["share"]) == (None, True, None)
    refused = ada.get(at(study_create(owner=user, title="Which?"), "results"))
    assert (refused.status_code, "two arms" in refused.json()["detail"]) == (404, True)
    assert ada.get(at(study_create(owner=user, title="Which?"), "participants")).json()["results"] == []


def test_participants_are_excluded_and_restored(ada: Client, user: User) -> None:
    study = study_with(user, prompts=6, checks=1)
    participate(study, "000000", sides="000000", checks="x", seconds=0.5)
    (row,) = ada.get(at(study, "participants")).json()["results"]
    assert (row["number"], row["finished"], row["answered"], row["checks"]) == (1, True, 6, [False])
    assert len(row["flags"]) == 3
    address = at(study, "participants/1")
    assert list(errors(post(ada, f"{address}/exclude"))) == ["reason"]
    assert list(errors(post(ada, f"{address}/exclude", {"reason": "  "}))) == ["reason"]
    told = post(ada, f"{address}/exclude", {"reason": "too fast"}).json()
    assert (told["excluded"], told["exclusions"][0]["reason"], len(told["pairs"])) == (True, "too fast", 7)
    assert post(ada, f"{address}/exclude", {"reason": "again"}).status_code == 409
    assert told["completion_code"] == "CODE"
    vic = Client()
    vic.force_login(User.objects.create_user("vic", role=Role.VIEWER))
    assert vic.get(address).json()["completion_code"] == "", "it is what participants are paid for"
    told = post(ada, f"{address}/restore", {"reason": "a slow network"}).json()
    assert (told["excluded"], told["exclusions"][0]["lifted_by"]) == (False, "ada")
    assert post(ada, f"{address}/restore", {"reason": "again"}).status_code == 409
    assert ada.get(at(study, "participants/2")).status_code == 404


def test_a_vote_is_corrected_and_nobody_can_vote(ada: Client, user: User) -> None:
    study = study_with(user, prompts=2)
    participate(study, "00")
    first = ada.get(at(study, "votes")).json()["results"][0]
    address = at(study, f"votes/{first['vote']}/corrections")
    other = "left" if first["side"] == "right" else "right"
    assert list(errors(post(ada, address, {"side": "none", "reason": "a slip"}))) == ["side"]
    assert list(errors(post(ada, address, {"side": first["side"], "reason": "a slip"}))) == ["side"]
    made = post(ada, address, {"side": other, "reason": "a slip"})
    assert (made.status_code, made.json()["replaces"], made.json()["corrected_by"]) == (201, first["vote"], "ada")
    assert post(ada, address, {"side": other, "reason": "a slip"}).status_code == 409
    assert [row["counts"] for row in ada.get(at(study, "votes")).json()["results"]] == [False, True, True]
    assert post(ada, at(study, "votes"), {"side": "left"}).status_code == 405
    assert Vote.objects.count() == 3


def test_the_votes_by_page_and_as_files_are_the_same(ada: Client, user: User) -> None:
    study = some_study(user)
    pages = [ada.get(at(study, f"votes?page_size=20&page={page}")).json() for page in (1, 2)]
    rows = [row for page in pages for row in page["results"]]
    assert rows == json.loads(body(ada.get(at(study, "votes.json"))))["votes"]
    assert len(rows) == pages[0]["count"] == Vote.objects.count()
    lines = io.StringIO(body(ada.get(at(study, "votes.csv")))).readlines()
    assert len(lines) == len(rows) + 1
    assert "counts," in body(ada.get(at(study, "columns.csv")))


def test_lists_of_a_study_take_the_same_queries_however_long(ada: Client, user: User) -> None:
    def queries(prompts: int, path: str) -> int:
        study = study_with(user, prompts=prompts)
        for _ in range(prompts // 5):
            participate(study, "01" * (prompts // 2))
        Link.objects.bulk_create(Link(study=study, personal=True, cap=1) for _ in range(prompts))
        with CaptureQueriesContext(connection) as context:
            assert ada.get(at(study, f"{path}?page_size=200")).json()["count"] >= 2
        return len(context)

    for path in ("prompts", "images", "links", "participants", "votes"):
        assert queries(10, path) == queries(40, path) <= 12, path


def test_the_files_of_another_study_are_not_found(ada: Client, user: User) -> None:
    mine, other = study_with(user, prompts=1), study_with(user, prompts=1)
    participate(other, "0")
    image = Image.objects.filter(arm__study=other).earliest("pk")
    for path in (f"images/{image.pk}", f"images/{image.pk}/file", "participants/1"):
        assert ada.get(at(mine, path)).status_code == 404
    vote = Vote.objects.get()
    assert post(ada, at(mine, f"votes/{vote.pk}/corrections"), {"side": "left", "reason": "x"}).status_code == 404
