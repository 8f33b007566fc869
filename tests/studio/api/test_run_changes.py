"""Runs: labelled, put away, cloned, estimated, compared, exported, searched."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from studio.accounts.models import Role, User
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.runs.distillation import run_folder
from studio.runs.models import Run, RunGroup
from studio.runs.services import run_create_from_preset
from tests.studio.api.test_runs import JSON, RUNS, errors
from tests.studio.builders import bring_to, claim, evaluation, log, metrics, record, samples, started

pytestmark = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous")


def change(client: Client, run: Run, **given: Any) -> Any:
    return client.patch(f"{RUNS}/{run.pk}", given, content_type=JSON)


@pytest.fixture
def administrator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("adam", role=Role.ADMINISTRATOR))
    return client


def test_what_is_written_on_a_run_is_changed_and_the_rest_stays(ada: Client, run: Run) -> None:
    told = change(ada, run, tags=["baseline", " low  lr "], notes="see p. 4").json()
    assert (told["name"], told["tags"], told["notes"]) == ("first", ["baseline", "low lr"], "see p. 4")
    told = change(ada, run, name="renamed").json()
    assert (told["name"], told["tags"], told["notes"]) == ("renamed", ["baseline", "low lr"], "see p. 4")
    assert change(ada, run, tags=[]).json()["tags"] == []
    assert change(ada, run).json() == ada.get(f"{RUNS}/{run.pk}").json()


@pytest.mark.parametrize(
    ("given", "status", "field"),
    [
        ({"name": ""}, 400, "name"),
        ({"name": "x" * 201}, 400, "name"),
        ({"tags": "a, b"}, 400, "tags"),
        ({"tags": [5]}, 400, "tags"),
        ({"tags": ["x" * 41]}, 400, "tags.0"),
        ({"tags": [str(number) for number in range(13)]}, 400, "tags"),
        ({"tags": ["a, b"]}, 422, "tags"),
        ({"notes": "x" * 10_001}, 400, "notes"),
        ({"archived": "yes"}, 400, "archived"),
        ({"priority": 101}, 400, "priority"),
        ({"state": "running"}, 400, "state"),
    ],
)
def test_a_wrong_change_names_the_field_and_changes_nothing(
    ada: Client, run: Run, given: dict[str, Any], status: int, field: str
) -> None:
    response = change(ada, run, **({"notes": "new"} | given))
    assert response.status_code == status
    assert list(errors(response)) == [field]
    run.refresh_from_db()
    assert run.notes == ""


def test_a_run_is_put_away_once_it_does_not_go_on_and_found_among_the_archived(ada: Client, run: Run) -> None:
    refused = change(ada, run, notes="new", archived=True)
    assert refused.status_code == 409
    assert "only runs that have ended or are paused" in refused.json()["detail"]
    run.refresh_from_db()
    assert run.notes == "", "all or nothing"
    bring_to(run, JobState.PAUSED)
    assert change(ada, run, archived=True).json()["archived"] is True

    def listed(**query: str) -> int:
        return int(ada.get(RUNS, query).json()["count"])

    assert [listed(), listed(archived="only"), listed(archived="no")] == [1, 1, 0]
    assert change(ada, run, archived=False).json()["archived"] is False


def test_owners_let_others_go_first_and_only_administrators_push_ahead(
    ada: Client, administrator: Client, run: Run
) -> None:
    assert change(ada, run, priority=-1).json()["priority"] == -1
    assert change(ada, run, priority=-1).status_code == 200
    assert change(ada, run, priority=5).status_code == 403
    assert change(administrator, run, priority=5).json()["priority"] == 5
    bring_to(run, JobState.PAUSED)
    assert change(ada, run, priority=0).status_code == 409


def test_the_list_is_filtered_by_tag_group_and_objective_and_ordered_by_the_figure(
    ada: Client, user: Any, run: Run
) -> None:
    group = RunGroup.objects.create(name="sweep", kind=RunGroup.Kind.SWEEP, owner=user)
    other = run_create_from_preset(owner=user, name="other", preset="digits-demo", settings={"objective.name": "sid"})
    Run.objects.filter(pk=other.pk).update(group=group)
    change(ada, run, tags=["baseline"])

    def names(**query: object) -> list[str]:
        return [row["name"] for row in ada.get(RUNS, query).json()["results"]]

    assert names(tag="baseline") == ["first"]
    assert names(q="basel") == ["first"]
    assert names(group=group.pk) == ["other"]
    assert names(objective="sid") == ["other"]
    assert names(ordering="created") == ["first", "other"]
    assert names(ordering="-created") == ["other", "first"]
    record(bring_to(run, JobState.RUNNING), metrics(1, frechet=5.0))
    assert names(ordering="figure") == ["first", "other"]
    assert names(ordering="-state") == ["first", "other"]


def test_a_clone_has_the_runs_settings_but_for_what_is_changed(
    ada: Client, user: Any, teacher: Any, redis_server: None
) -> None:
    origin = run_create_from_preset(
        owner=user, name="origin", preset="digits-demo", settings={"iterations": 77, "batch_size": 32}
    )
    answer = ada.post(f"{RUNS}/{origin.pk}/clones", {"settings": {"batch_size": 16}}, content_type=JSON)
    assert answer.status_code == 201
    told = answer.json()
    assert answer["Location"] == f"{RUNS}/{told['id']}"
    assert (told["name"], told["settings"]["iterations"], told["settings"]["batch_size"]) == ("origin copy", 77, 16)
    assert told["preset_settings"].keys() == {"iterations", "batch_size"}
    wrong = ada.post(f"{RUNS}/{origin.pk}/clones", {"settings": {"iterations": 0}}, content_type=JSON)
    assert (wrong.status_code, list(errors(wrong))) == (422, ["settings.iterations"])
    assert ada.post(f"{RUNS}/4711/clones", {}, content_type=JSON).status_code == 404
    assert Run.objects.count() == 2


def test_an_estimate_launches_nothing(ada: Client, teacher: Any) -> None:
    def asked(**settings: Any) -> Any:
        return ada.post(f"{RUNS}/estimate", {"preset": "digits-demo", "settings": settings}, content_type=JSON)

    told = asked(iterations=50).json()
    assert told["time"] == "unknown"
    assert "checkpoints at most" in told["disk"]
    assert any("So few iterations" in note for note in told["notes"])
    assert list(errors(asked(teacher="bundled:nothing"))) == ["settings.teacher"]
    assert not Job.objects.exists()


def test_runs_are_compared(ada: Client, user: Any, run: Run) -> None:
    other = run_create_from_preset(owner=user, name="other", preset="digits-demo", settings={"iterations": 77})
    record(bring_to(run, JobState.RUNNING), samples(50), evaluation(50, frechet=2.5), evaluation(60, frechet=3.5))
    told = ada.get(f"/api/v1/compare?runs={other.pk},{run.pk}").json()
    assert [row["name"] for row in told["runs"]] == ["other", "first"]
    assert [(row["best"], row["best_step"]) for row in told["runs"]] == [("", None), ("2.50", 50)]
    assert [row["path"] for row in told["differences"]] == ["iterations"]
    (grid,) = told["samples"][str(run.pk)]
    assert (grid["step"], told["samples"][str(other.pk)]) == (50, [])
    assert grid["url"].startswith(f"/api/v1/runs/{run.pk}/samples/")
    for runs, status in ((f"{run.pk}", 400), ("", 400), ("a,b", 400), (f"{run.pk},{run.pk}", 422), ("4711,4712", 422)):
        refused = ada.get("/api/v1/compare", {"runs": runs})
        assert (refused.status_code, list(errors(refused))) == (status, ["runs"]), runs


def test_the_history_tells_who_did_what(ada: Client, run: Run) -> None:
    ada.post(f"{RUNS}/{run.pk}/actions/pause")
    moves = ada.get(f"{RUNS}/{run.pk}/history").json()["results"]
    assert [(move["from_state"], move["to_state"], move["actor"]) for move in moves] == [
        ("", "queued", "ada"),
        ("queued", "paused", "ada"),
    ]


def test_curves_and_the_log_are_taken_away_whole(ada: Client, run: Run) -> None:
    job = bring_to(run, JobState.RUNNING)
    record(job, metrics(1, student_loss=0.5), metrics(2, student_loss=0.25), log("a needle in the hay"))
    folder = run_folder(run.pk) / "attempts" / "1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stderr.log").write_text("x" * 100_000 + "\nlast words")
    csv = ada.get(f"{RUNS}/{run.pk}/metrics.csv")
    assert csv["Content-Type"].startswith("text/csv")
    assert b"".join(csv).decode().splitlines() == [  # type: ignore[arg-type]
        "step,series,value,attempt", "1,student_loss,0.5,1", "2,student_loss,0.25,1",
    ]  # fmt: skip
    assert b"student_loss" in b"".join(ada.get(f"{RUNS}/{run.pk}/metrics.tfevents"))  # type: ignore[arg-type]
    page, script = (b"".join(ada.get(where)) for where in (f"/runs/{run.pk}/log/", f"{RUNS}/{run.pk}/log"))  # type: ignore[arg-type]
    assert page == script
    assert script.decode().endswith(f"\n\nstandard error of attempt 1:\n{'x' * 100_000}\nlast words\n")


def test_the_log_is_searched(ada: Client, run: Run) -> None:
    record(bring_to(run, JobState.RUNNING), *(log(f"line {n}{' needle' * (n in (3, 5, 20))}") for n in range(30)))
    told = ada.get(f"{RUNS}/{run.pk}/log/search", {"q": "NEEDLE"}).json()
    assert (told["total"], told["shown"]) == (3, 3)
    near, far = ([(line["text"].split("line ")[-1], line["hit"]) for line in lines] for lines in told["passages"])
    assert near == [
        ("1", False),
        ("2", False),
        ("3 needle", True),
        ("4", False),
        ("5 needle", True),
        ("6", False),
        ("7", False),
    ]
    assert [text for text, _ in far] == ["18", "19", "20 needle", "21", "22"]
    numbers = [line["number"] for line in told["passages"][0]]
    assert numbers == list(range(numbers[0], numbers[0] + 7))
    assert ada.get(f"{RUNS}/{run.pk}/log/search").status_code == 400


def test_of_very_many_hits_a_hundred_are_shown(ada: Client, run: Run) -> None:
    record(claim(), started(), *(log("needle") for _ in range(150)))
    told = ada.get(f"{RUNS}/{run.pk}/log/search", {"q": "needle"}).json()
    assert (told["total"], told["shown"]) == (150, 100)
    assert sum(line["hit"] for lines in told["passages"] for line in lines) == 100
