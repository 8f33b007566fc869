from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from simcore.presets import figure_2_cells, find_preset
from simcore.resolve import resolve
from studio.accounts.models import AuditAction, AuditEntry
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.jobs.services import job_end
from studio.runs.models import Run, RunGroup
from tests.studio.builders import claim, evaluation, record, started, token_of

SWEEP = {
    "name": "rates", "kind": "sweep", "preset": "digits-demo", "settings": "", "base_run": "",
    "first_path": "student_optimizer.learning_rate", "first_values": "1e-4, 2e-4",
    "second_path": "objective.distance", "second_values": "pseudo_huber, l1", "seeds": "0",
}  # fmt: skip


@pytest.fixture
def post(ada: Client, teacher: Any, redis_server: None) -> Any:
    """Send the form with changes."""
    return lambda **changes: ada.post("/runs/groups/new/", {**SWEEP, **changes})


def specs() -> list[dict[str, Any]]:
    return [run.job.spec for run in Run.objects.select_related("job").order_by("pk")]


def finish(figures: list[float | None]) -> None:
    """Work on the waiting runs in order: a final figure each, or None for a failure."""
    for figure in figures:
        job = claim()
        record(job, started(), *([evaluation(100, frechet=figure)] if figure is not None else []))
        job_end(job.pk, token_of(job), JobState.FAILED if figure is None else JobState.SUCCEEDED)


def test_a_sweep_is_every_combination(post: Any) -> None:
    group_page = post()["Location"]
    group = RunGroup.objects.get()
    assert group_page == f"/runs/groups/{group.pk}/"
    chosen = [(spec["student_optimizer"]["learning_rate"], spec["objective"]["distance"]) for spec in specs()]
    assert chosen == [(1e-4, "pseudo_huber"), (1e-4, "l1"), (2e-4, "pseudo_huber"), (2e-4, "l1")]
    assert group.cells[1] == "learning_rate=0.0001, distance=l1"
    assert set(Run.objects.values_list("group", flat=True)) == {group.pk}


def test_the_ablation_is_the_papers_cells_for_each_seed(post: Any) -> None:
    post(kind="ablation", seeds="3, 4", diff_instruct="on")
    cells = figure_2_cells(find_preset("digits-demo").spec)
    assert RunGroup.objects.get().cells == [*cells, "diff-instruct"]
    assert Run.objects.count() == 18
    assert sorted({spec["seed"] for spec in specs()}) == [3, 4]
    for run in Run.objects.exclude(cell="diff-instruct").select_related("job"):
        wanted = resolve(cells[run.cell], run.teacher.read_card()).objective
        assert run.job.spec["objective"] == wanted.model_dump(mode="json")


def test_a_preview_says_what_would_be_and_creates_nothing(post: Any) -> None:
    page = post(preview="1", seeds="0,1").content.decode()
    assert "8 runs in 4 cells" in page
    assert "learning_rate=0.0002, distance=l1, seed 1" in page
    assert "checkpoints of 8 runs" in page
    assert not Run.objects.exists()


def test_the_base_may_be_a_run_and_other_settings_hold_for_all(post: Any, run: Run) -> None:
    run.job.spec["batch_size"] = 16
    run.job.save()
    post(base_run=run.pk, settings="iterations=77\nema.ramp_up=0.5", second_path="", second_values="")
    made = [spec for spec in specs() if spec["iterations"] == 77]
    assert len(made) == 2
    assert all(spec["batch_size"] == 16 and spec["ema"]["ramp_up"] == 0.5 for spec in made)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"first_values": ""}, "give its values, separated by commas"),
        ({"first_values": "1e-4, fast"}, "learning_rate"),
        ({"first_path": "", "second_path": ""}, "name at least one setting to vary"),
        ({"second_path": "student_optimizer.learning_rate", "second_values": "1"}, "vary each setting once"),
        ({"seeds": ""}, "This field is required"),
        ({"seeds": "1, x"}, "one or more whole numbers"),
        ({"seeds": ",".join(map(str, range(17)))}, "that makes 68 runs; a group has at most 64"),
        ({"settings": "no_such=1"}, "no such setting"),
        ({"settings": "iterations"}, "expected key.path=value"),
        ({"base_run": "4711"}, "there is no run 4711"),
        ({"preset": "no such preset"}, "Select a valid choice"),
        ({"kind": "party"}, "Select a valid choice"),
        ({"first_path": "__class__"}, "Select a valid choice"),
        ({"preset": "cifar10-uncond"}, "is not in the catalogue"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_queued(post: Any, changes: dict[str, str], said: str) -> None:
    response = post(**changes)
    assert response.status_code == 422
    assert said in response.content.decode()
    assert not Run.objects.exists()
    assert not RunGroup.objects.exists()


def test_beyond_the_queues_limit_none_is_queued(post: Any, settings: Any) -> None:
    settings.QUEUED_LIMIT = 3
    response = post()
    assert response.status_code == 422
    assert "4 more would exceed the limit of 3" in response.content.decode()
    assert not Run.objects.exists()
    assert not RunGroup.objects.exists()


def test_the_page_shows_mean_and_spread_over_seeds_of_what_succeeded(ada: Client, post: Any) -> None:
    page = post(seeds="0,1", second_path="", second_values="")["Location"]
    finish([2.0, 4.0, 9.0, None])
    text = ada.get(page).content.decode()
    table = text[text.index("Final Fréchet") : text.index('<section class="charts"')]
    assert "<strong>3.00</strong>" in table
    assert "± 1.41" in table
    assert table.index("lowest") < table.index("<strong>9.00</strong>")
    assert "± " not in table[table.index("9.00") :]
    curve = re.search(r'"learning_rate=0.0001": (\{[^}]*\})', text)
    assert curve
    assert '"mean": [3.0]' in curve[1]
    assert '"min": [2.0]' in curve[1]


def test_two_axes_make_a_grid(ada: Client, post: Any) -> None:
    page = post()["Location"]
    finish([1.0, 2.0, 3.0, 4.0])
    text = ada.get(page).content.decode()
    rows = re.findall(r'<tr><th scope="row">([^<]*)</th>(.*?)</tr>', text, re.S)
    assert [(head, re.findall(r"<strong>([\d.]+)</strong>", cells)) for head, cells in rows[:2]] == [
        ("0.0001", ["1.00", "2.00"]),
        ("0.0002", ["3.00", "4.00"]),
    ]


def test_all_runs_that_go_on_are_cancelled_at_once(ada: Client, post: Any, client: Client) -> None:
    page = post()["Location"]
    finish([1.0])
    held = claim()
    record(held, started())
    said = ada.post(f"{page}cancel/", follow=True).content.decode()
    assert "3 runs of rates cancelled." in said
    assert AuditEntry.objects.filter(action=AuditAction.RUN_ACTION, actor="ada").count() == 3
    states = sorted(Job.objects.values_list("state", "requested_action"))
    assert states == [("cancelled", ""), ("cancelled", ""), ("running", "cancel"), ("succeeded", "")]
    assert "All of its runs have ended." in ada.post(f"{page}cancel/", follow=True).content.decode()


def test_strangers_do_not_cancel_and_viewers_do_not_launch(post: Any, client: Client) -> None:
    from studio.accounts.models import Role, User

    page = post()["Location"]
    client.force_login(User.objects.create_user("bob", role=Role.RESEARCHER))
    assert client.post(f"{page}cancel/").status_code == 403
    client.force_login(User.objects.create_user("eve", role=Role.VIEWER))
    assert client.get("/runs/groups/new/").status_code == 403
    assert client.get(page).status_code == 200
