"""Sweeps and the ablation, by script."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from studio.accounts.models import Role, User
from studio.jobs.lifecycle import JobState
from studio.jobs.services import job_end
from studio.runs.models import Run, RunGroup
from tests.studio.api.test_runs import JSON, errors
from tests.studio.builders import claim, evaluation, record, started, token_of

GROUPS = "/api/v1/groups"
RATE = "student_optimizer.learning_rate"
SWEEP = {"kind": "sweep", "preset": "digits-demo", "axes": {RATE: [1e-4, 2e-4]}, "seeds": [0, 1]}


def launch(client: Client, **changes: Any) -> Any:
    return client.post(GROUPS, SWEEP | changes, content_type=JSON)


@pytest.fixture(autouse=True)
def catalogue(teacher: Any, redis_server: None) -> None:
    """The preset's teacher is there, and Redis to ring."""


def test_a_sweep_is_planned_launched_told_and_cancelled(ada: Client) -> None:
    plan = ada.post(f"{GROUPS}/plan", SWEEP, content_type=JSON).json()
    assert [run["name"] for run in plan["runs"]][:2] == ["learning_rate=0.0001, seed 0", "learning_rate=0.0001, seed 1"]
    assert "4 runs" in plan["estimate"]["disk"]
    assert not Run.objects.exists()
    answer = launch(ada, name="rates", settings={"iterations": 50})
    assert answer.status_code == 201
    told = answer.json()
    assert answer["Location"] == f"{GROUPS}/{told['id']}"
    assert (told["name"], told["runs"], told["going"], told["headline"]) == ("rates", 4, 4, "frechet")
    assert told["axes"] == [{"path": RATE, "label": told["axes"][0]["label"], "values": [1e-4, 2e-4]}]
    assert [len(cell["runs"]) for cell in told["cells"]] == [2, 2]
    assert {run.job.spec["iterations"] for run in Run.objects.select_related("job")} == {50}
    for value in (3.0, 5.0):
        job = claim()
        record(job, started(), evaluation(50, frechet=value))
        job_end(job.pk, token_of(job), JobState.SUCCEEDED)
    told = ada.get(answer["Location"]).json()
    assert (told["succeeded"], told["going"]) == (2, 2)
    assert (told["cells"][0]["values"], told["cells"][0]["mean"], told["cells"][1]["mean"]) == ([3.0, 5.0], 4.0, None)
    curve = told["curves"][told["cells"][0]["name"]]
    assert curve == {"step": [50.0], "min": [3.0], "max": [5.0], "mean": [4.0]}
    assert sorted(row["state"] for row in told["members"]) == ["queued", "queued", "succeeded", "succeeded"]
    assert ada.post(f"{answer['Location']}/cancel").json() == {"cancelled": 2}
    assert ada.post(f"{answer['Location']}/cancel").status_code == 409


def test_the_ablation_and_a_group_from_a_run(ada: Client, user: Any) -> None:
    (first, *_) = [row["id"] for row in launch(ada, settings={"iterations": 50}).json()["members"]]
    told = launch(ada, axes={"batch_size": [8, 16]}, base_run=first, seeds=[3]).json()
    assert {Run.objects.get(pk=row["id"]).job.spec["iterations"] for row in told["members"]} == {50}
    answer = ada.post(
        GROUPS, {"kind": "ablation", "preset": "digits-demo", "diff_instruct": True}, content_type=JSON
    ).json()
    assert (answer["kind"], answer["runs"]) == ("ablation", 9)
    assert answer["cells"][-1]["name"] == "diff-instruct"


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"kind": "grid"}, 400, "kind"),
        ({"preset": "imagenet"}, 400, "preset"),
        ({"axes": []}, 400, "axes"),
        ({"axes": {"colour": [1]}}, 400, "axes.colour"),
        ({"axes": {"seed": [1, 2]}}, 400, "axes.seed"),
        ({"axes": {RATE: []}}, 400, f"axes.{RATE}"),
        ({"axes": {RATE: 1e-4}}, 400, f"axes.{RATE}"),
        ({"axes": {RATE: ["1e-4"]}}, 400, f"axes.{RATE}"),
        ({"axes": {RATE: [1e-4], "batch_size": [8], "iterations": [9]}}, 400, "axes"),
        ({"seeds": []}, 400, "seeds"),
        ({"seeds": [-1]}, 400, "seeds.0"),
        ({"seeds": ["0"]}, 400, "seeds"),
        ({"settings": {"iterations": "5"}}, 400, "settings.iterations"),
        ({"colour": "red"}, 400, "colour"),
        ({"axes": {}}, 422, "axes"),
        ({"axes": {RATE: [-1.0]}}, 422, "axes"),
        ({"axes": {"batch_size": list(range(1, 34))}}, 422, "axes"),
        ({"settings": {"iterations": 0}}, 422, "settings.iterations"),
        ({"settings": {"teacher": "bundled:nothing"}}, 422, "settings.teacher"),
        ({"base_run": 4711}, 422, "base_run"),
        ({"kind": "ablation"}, 422, "axes"),
    ],
)
def test_a_wrong_group_names_the_field_and_launches_nothing(
    ada: Client, changes: dict[str, Any], status: int, field: str
) -> None:
    response = launch(ada, **changes)
    assert (response.status_code, list(errors(response))) == (status, [field])
    assert not Run.objects.exists()


def test_beyond_the_queues_limit_none_is_launched_and_strangers_cancel_nothing(ada: Client, settings: Any) -> None:
    settings.QUEUED_LIMIT = 3
    assert launch(ada).status_code == 409
    assert not RunGroup.objects.exists()
    settings.QUEUED_LIMIT = 200
    where = launch(ada)["Location"]
    stranger = Client()
    stranger.force_login(User.objects.create_user("olga", role=Role.RESEARCHER))
    assert stranger.post(f"{where}/cancel").status_code == 403


def test_the_list_of_groups_takes_as_many_queries_for_a_thousand_as_for_ten(ada: Client, user: Any) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert ada.get(GROUPS, {"page_size": 200}).status_code == 200
        return len(context)

    RunGroup.objects.bulk_create(RunGroup(name="g", kind="sweep", owner=user) for _ in range(10))
    few = queries()
    RunGroup.objects.bulk_create(RunGroup(name="g", kind="sweep", owner=user) for _ in range(990))
    assert queries() == few <= 6
