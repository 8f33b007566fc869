from __future__ import annotations

import gzip
from typing import Any

import pytest
from django.test import Client

from simcore.presets import find_preset
from studio.accounts.models import Role, User
from studio.api.models import IdempotencyKey
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.runs.models import Checkpoint, Run, RunGroup, RunTag
from tests.studio.builders import at_once, bring_to, checkpoint, evaluation, metrics, record, samples

JSON = "application/json"
RUNS = "/api/v1/runs"


def launch(client: Client, body: Any = None, **headers: str) -> Any:
    given = {"preset": "digits-demo"} if body is None else body
    return client.post(RUNS, given, content_type=JSON, headers=headers or None)


def errors(response: Any) -> dict[str, str]:
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == response.status_code
    return {error["field"]: error["message"] for error in response.json().get("errors", [])}


def test_a_run_is_launched_from_a_preset_with_changes(ada: Client, teacher: Any, redis_server: None) -> None:
    response = launch(ada, {"preset": "digits-demo", "name": "L1", "settings": {"objective.distance": "l1"}})
    assert response.status_code == 201
    body = response.json()
    assert response["Location"] == f"{RUNS}/{body['id']}"
    assert (body["name"], body["state"], body["owner"]) == ("L1", "queued", "ada")
    assert body["settings"]["objective.distance"] == "l1"
    assert body["settings"]["batch_size"] == find_preset("digits-demo").spec.batch_size
    assert body["actions"] == ["pause", "cancel"]
    assert ada.get(response["Location"]).json() == body
    assert Job.objects.get().spec["objective"]["distance"] == "l1"


def test_the_settings_of_a_run_launch_the_same_again(ada: Client, run: Any) -> None:
    settings = ada.get(f"{RUNS}/{run.pk}").json()["settings"]
    again = launch(ada, {"preset": run.preset, "settings": settings})
    assert again.status_code == 201
    assert Job.objects.get(pk=again.json()["id"]).spec == run.job.spec


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "preset"),
        ({"preset": "imagenet"}, 400, "preset"),
        ({"preset": 1}, 400, "preset"),
        ({"preset": "digits-demo", "name": 5}, 400, "name"),
        ({"preset": "digits-demo", "name": "a\0b"}, 400, "name"),
        ({"preset": "digits-demo", "name": "x" * 201}, 400, "name"),
        ({"preset": "digits-demo", "colour": "red"}, 400, "colour"),
        ({"preset": "digits-demo", "settings": []}, 400, "settings"),
        ({"preset": "digits-demo", "settings": {"objective.colour": 1}}, 400, "settings.objective.colour"),
        ({"preset": "digits-demo", "settings": {"iterations": "5"}}, 400, "settings.iterations"),
        ({"preset": "digits-demo", "settings": {"iterations": True}}, 400, "settings.iterations"),
        ({"preset": "digits-demo", "settings": {"iterations": 0}}, 422, "settings.iterations"),
        ({"preset": "digits-demo", "settings": {"teacher": "../etc"}}, 422, "settings.teacher"),
        ({"preset": "cifar10-cond"}, 422, "settings.teacher"),
        ([], 400, ""),
    ],
)
def test_a_wrong_launch_names_the_field(ada: Client, teacher: Any, body: Any, status: int, field: str) -> None:
    response = launch(ada, body)
    assert response.status_code == status
    assert list(errors(response)) == [field]
    assert errors(response)[field]
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", JSON, 400),
        (b"[" * 100_000, JSON, 400),
        (b'{"preset": "\\ud800"}', JSON, 400),
        (b'{"preset": NaN}', JSON, 400),
        (b"\xff", JSON, 400),
        (b'{"preset": ' + b"9" * 5_000 + b"}", JSON, 400),
        (b"preset=digits-demo", "application/x-www-form-urlencoded", 415),
        (b"{}", "application/json; charset=hex", 400),
        (b'{"name": "' + b"x" * 3_000_000 + b'"}', JSON, 413),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(ada: Client, teacher: Any, body: bytes, kind: str, status: int) -> None:
    response = ada.generic("POST", RUNS, body, content_type=kind)
    assert response.status_code == status
    errors(response)


def test_a_browsers_request_needs_the_token_against_forgery(user: Any, teacher: Any) -> None:
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(user)
    response = launch(careful)
    assert response.status_code == 403
    assert "CSRF" in response.json()["detail"]


# ---- idempotency


def test_the_same_request_with_the_same_key_creates_once(ada: Client, teacher: Any, redis_server: None) -> None:
    first = launch(ada, **{"Idempotency-Key": "k1"})
    second = launch(ada, **{"Idempotency-Key": "k1"})
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert (second["Idempotent-Replayed"], second["Location"]) == ("true", first["Location"])
    assert Run.objects.count() == 1
    launch(ada, **{"Idempotency-Key": "k2"})
    assert Run.objects.count() == 2


def test_a_key_is_not_used_for_something_else(ada: Client, teacher: Any, redis_server: None) -> None:
    launch(ada, **{"Idempotency-Key": "k"})
    other = launch(ada, {"preset": "digits-demo", "name": "other"}, **{"Idempotency-Key": "k"})
    assert other.status_code == 422
    assert "Idempotency-Key" in errors(other)
    assert Run.objects.count() == 1
    olga = Client()
    olga.force_login(User.objects.create_user("olga", role=Role.RESEARCHER))
    assert launch(olga, **{"Idempotency-Key": "k"}).status_code == 201, "keys are each person's own"


def test_a_refused_creation_leaves_its_key_free(ada: Client, teacher: Any, redis_server: None) -> None:
    assert launch(ada, {"preset": "nothing"}, **{"Idempotency-Key": "k"}).status_code == 400
    assert launch(ada, **{"Idempotency-Key": "k"}).status_code == 201


def test_a_key_is_forgotten_after_a_day(ada: Client, teacher: Any, redis_server: None) -> None:
    launch(ada, **{"Idempotency-Key": "k"})
    IdempotencyKey.objects.update(expires_at="2026-01-01T00:00Z")
    assert launch(ada, **{"Idempotency-Key": "k"}).status_code == 201
    assert Run.objects.count() == 2


@pytest.mark.parametrize("key", ["", "x" * 201, "ä", "a\tb"])
def test_a_key_that_is_none_is_refused(ada: Client, teacher: Any, key: str) -> None:
    assert launch(ada, **{"Idempotency-Key": key}).status_code == 400
    assert not Run.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_requests_with_one_key_at_the_same_time_one_creates(user: Any, teacher: Any, redis_server: None) -> None:
    def send() -> Any:
        client = Client()
        client.force_login(user)
        return launch(client, **{"Idempotency-Key": "k"}).json()["id"]

    assert len(set(at_once(send, send, send))) == 1
    assert Run.objects.count() == 1


# ---- lists, actions, records


def test_the_list_is_filtered_ordered_and_comes_in_pages(ada: Client, run: Any) -> None:
    for name in ("beta", "alpha"):
        launch(ada, {"preset": "digits-demo", "name": name})
    bring_to(run, JobState.PAUSED)

    def names(**query: object) -> list[str]:
        return [row["name"] for row in ada.get(RUNS, query).json()["results"]]

    assert names() == ["alpha", "beta", "first"]
    assert names(ordering="name") == ["alpha", "beta", "first"]
    assert names(ordering="created") == ["first", "beta", "alpha"]
    assert names(state="paused") == ["first"]
    assert names(q="ALPH") == ["alpha"]
    assert names(owner="nobody") == []
    assert names(teacher=run.teacher.reference, preset="digits-demo", page_size=2) == ["alpha", "beta"]
    second = ada.get(RUNS, {"page_size": 2, "page": 2}).json()
    assert (second["count"], second["next"], len(second["results"])) == (3, None, 1)
    assert ada.get(RUNS, {"page": 9}).status_code == 404


@pytest.mark.parametrize(
    "query",
    ["state=lost", "ordering=age", "page=0", "page=x", "page_size=201", "colour=red", "q=a&q=b", "q=%00"],
)
def test_a_wrong_parameter_is_named(ada: Client, query: str) -> None:
    response = ada.get(f"{RUNS}?{query}")
    assert response.status_code == 400
    assert list(errors(response)) == [query.split("=")[0]]


def test_the_list_takes_as_many_queries_for_a_thousand_runs_as_for_ten(
    ada: Client, run: Any, django_assert_max_num_queries: Any
) -> None:
    job = run.job
    for number in (10, 1_000):
        like = {"kind": job.kind, "queue": job.queue, "owner": job.owner, "spec": job.spec}
        jobs = [Job(**like, queued_at=job.queued_at) for _ in range(number)]
        Job.objects.bulk_create(jobs)
        Run.objects.bulk_create(Run(job=each, name="n", preset="digits-demo", teacher=run.teacher) for each in jobs)
        with django_assert_max_num_queries(10):
            assert len(ada.get(RUNS, {"page_size": 200}).json()["results"]) == min(number + 1, 200)


def test_actions_are_done_and_what_no_longer_applies_is_a_conflict(ada: Client, run: Any) -> None:
    def act(name: str) -> Any:
        return ada.post(f"{RUNS}/{run.pk}/actions/{name}")

    assert act("pause").json()["state"] == "paused"
    conflict = act("pause")
    assert conflict.status_code == 409
    assert conflict.json()["detail"] == "A job that is paused cannot become paused"
    assert act("resume").json()["state"] == "queued"
    assert act("explode").status_code == 404


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous")
def test_what_a_run_recorded_can_be_read(ada: Client, run: Any) -> None:
    job = bring_to(run, JobState.RUNNING)
    record(job, samples(0, "teacher"), samples(50), checkpoint(50), evaluation(50, frechet=2.5))
    grids = ada.get(f"{RUNS}/{run.pk}/samples").json()["results"]
    assert [(grid["step"], grid["source"]) for grid in grids] == [(0, "teacher"), (50, "student")]
    assert ada.get(f"{RUNS}/{run.pk}/samples", {"source": "teacher"}).json()["count"] == 1
    (row,) = ada.get(f"{RUNS}/{run.pk}/checkpoints").json()["results"]
    assert (row["step"], row["size"]) == (50, 4)
    (figures,) = ada.get(f"{RUNS}/{run.pk}/evaluations").json()["results"]
    assert figures["values"] == {"frechet": 2.5}
    told = ada.get(f"{RUNS}/{run.pk}").json()
    assert (told["headline"], told["student_figure"], told["teacher_figure"]) == ("frechet", 2.5, None)
    assert "checkpoint at step 50" in b"".join(ada.get(f"{RUNS}/{run.pk}/log")).decode()


def test_a_removed_checkpoint_is_not_listed_and_not_found(ada: Client, run: Any) -> None:
    record(bring_to(run, JobState.RUNNING), checkpoint(50), checkpoint(100))
    Checkpoint.objects.filter(step=50).update(removed=True)
    (row,) = ada.get(f"{RUNS}/{run.pk}/checkpoints").json()["results"]
    assert row["step"] == 100
    gone = ada.get(f"{RUNS}/{run.pk}/checkpoints/{Checkpoint.objects.get(step=50).pk}")
    assert gone.status_code == 404
    assert "removed to save space" in gone.json()["detail"]


def test_a_launch_beyond_the_queues_limit_is_a_conflict(ada: Client, run: Any, settings: Any) -> None:
    settings.QUEUED_LIMIT = 1
    refused = launch(ada)
    assert refused.status_code == 409
    assert "exceed the limit of 1" in refused.json()["detail"]
    assert Run.objects.count() == 1


def test_tags_group_and_archive_are_told(ada: Client, run: Any) -> None:
    group = RunGroup.objects.create(name="sweep", kind=RunGroup.Kind.SWEEP, owner=run.job.owner)
    assert ada.get(f"{RUNS}/{run.pk}").json()["group"] is None
    Run.objects.filter(pk=run.pk).update(group=group, archived=True)
    RunTag.objects.create(run=run, name="baseline")
    for told in (ada.get(f"{RUNS}/{run.pk}").json(), ada.get(RUNS).json()["results"][0]):
        assert (told["tags"], told["group"], told["archived"]) == (["baseline"], group.pk, True)


def test_long_curves_travel_compressed(ada: Client, run: Any) -> None:
    record(bring_to(run, JobState.RUNNING), *(metrics(step) for step in range(1, 101)))
    address = f"{RUNS}/{run.pk}/metrics?series=student_loss"
    plain, packed = ada.get(address), ada.get(address, headers={"Accept-Encoding": "gzip"})
    assert packed["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content
    same = ada.get(address, headers={"Accept-Encoding": "gzip", "If-None-Match": packed["ETag"]})
    assert same.status_code == 304


def test_what_is_polled_is_not_sent_twice(ada: Client, run: Any) -> None:
    for address in (RUNS, f"{RUNS}/{run.pk}", f"{RUNS}/{run.pk}/metrics?series=student_loss"):
        first = ada.get(address)
        same = ada.get(address, headers={"If-None-Match": first["ETag"]})
        assert (same.status_code, same.content) == (304, b"")
    tag = ada.get(f"{RUNS}/{run.pk}")["ETag"]
    bring_to(run, JobState.PAUSED)
    assert ada.get(f"{RUNS}/{run.pk}", headers={"If-None-Match": tag}).json()["state"] == "paused"


def test_presets_and_teachers_are_told(ada: Client, teacher: Any) -> None:
    names = [preset["name"] for preset in ada.get("/api/v1/presets").json()["results"]]
    assert "digits-demo" in names
    (row,) = ada.get("/api/v1/teachers", {"q": "digits"}).json()["results"]
    detail = ada.get(f"/api/v1/teachers/{row['id']}").json()
    assert (detail["reference"], detail["card"]["licence"]) == (teacher.reference, "Apache-2.0")
