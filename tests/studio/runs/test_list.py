from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from simcore.presets import find_preset
from studio.catalog.models import Teacher
from studio.catalog.services import bundled_teachers_register
from studio.jobs.lifecycle import JobState
from studio.jobs.services import job_end
from studio.runs.models import Run
from studio.runs.rows import rows_html
from studio.runs.services import run_create
from studio.runs.views import PAGE_SIZE
from tests.studio.builders import bring_to, claim, evaluation, metrics, record, started, token_of


@pytest.fixture
def launch(user: Any, teacher: Teacher, redis_server: None) -> Any:
    """Launch a run by its name."""
    return lambda name: run_create(owner=user, name=name, preset="digits-demo", spec=find_preset("digits-demo").spec)


def names(client: Client, **query: Any) -> list[str]:
    """The names on the page, in order."""
    page = client.get("/runs/", query).content.decode()
    return re.findall(r'id="run-link-\d+">([^<]*)</a>', page)


def test_runs_come_newest_first(ada: Client, launch: Any) -> None:
    for name in ("a", "b", "c"):
        launch(name)
    assert names(ada) == ["c", "b", "a"]


def test_without_runs_the_page_says_how_to_launch_one(ada: Client) -> None:
    page = ada.get("/runs/").content.decode()
    assert "No runs yet" in page
    assert 'href="/runs/new/"' in page


def test_search_finds_names_and_teachers_whatever_their_case(ada: Client, launch: Any) -> None:
    launch("Short run")
    launch("Long run")
    assert names(ada, q="sHoRt") == ["Short run"]
    assert names(ada, q="digits 8") == ["Long run", "Short run"]
    assert names(ada, q="nothing") == []
    assert "No run matches" in ada.get("/runs/", {"q": "nothing"}).content.decode()


@pytest.mark.parametrize("odd", ["%", "_", "'", '"', "\\", "<b>", "\x00", "ä" * 3000])
def test_a_search_for_odd_characters_finds_nothing_and_breaks_nothing(ada: Client, launch: Any, odd: str) -> None:
    launch("plain")
    assert names(ada, q=f"x{odd}x") == []


def test_the_state_filters(ada: Client, launch: Any) -> None:
    launch("waiting")
    bring_to(launch("held back"), JobState.PAUSED)
    assert names(ada, state="paused") == ["held back"]
    assert names(ada, state="queued") == ["waiting"]
    assert names(ada, state="queued", q="held") == []
    assert names(ada, state="no such state") == ["held back", "waiting"]


def test_many_runs_are_paged(ada: Client, launch: Any) -> None:
    for number in range(PAGE_SIZE + 3):
        launch(f"run {number}")
    assert names(ada) == [f"run {number}" for number in range(PAGE_SIZE + 2, 2, -1)]
    assert names(ada, page=2) == ["run 2", "run 1", "run 0"]
    assert names(ada, page=99) == names(ada, page=2)
    assert names(ada, page="x") == names(ada)
    assert "?q=run&amp;state=queued&amp;page=2" in ada.get("/runs/", {"q": "run", "state": "queued"}).content.decode()


def test_the_number_of_queries_does_not_grow_with_the_runs(ada: Client, launch: Any) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert ada.get("/runs/").status_code == 200
        return len(context)

    def train(count: int) -> None:
        for _ in range(count):
            launch("run")
            job = claim()
            record(job, started(), metrics(1), metrics(100), evaluation(0, "teacher"), evaluation(100))
            job_end(job.pk, token_of(job), JobState.SUCCEEDED)

    train(10)
    few = queries()
    train(50)
    assert Run.objects.count() == 60
    assert queries() == few <= 14


def test_rendering_changed_rows_takes_the_same_queries_for_one_and_for_many(launch: Any) -> None:
    runs = [launch("run").pk for _ in range(12)]

    def queries(ids: list[int]) -> int:
        with CaptureQueriesContext(connection) as context:
            assert set(rows_html(ids)) == set(ids)
        return len(context)

    assert queries(runs) == queries(runs[:1])


def test_htmx_gets_the_table_alone(ada: Client, launch: Any) -> None:
    launch("a")
    part = ada.get("/runs/", headers={"HX-Request": "true"}).content.decode()
    assert "run-link-" in part
    assert "<html" not in part
    restored = ada.get("/runs/", headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})
    assert "<html" in restored.content.decode()


def test_a_row_shows_progress_and_the_latest_figures(ada: Client, launch: Any) -> None:
    run = launch("figures")
    job = claim()
    record(job, started(), evaluation(0, "teacher", frechet=1.25), evaluation(0, frechet=138.0))
    record(job, metrics(500), evaluation(500, frechet=7.5))
    row = rows_html([run.pk])[run.pk]
    assert "7.50" in row
    assert "teacher 1.25" in row
    assert ">138" not in row
    assert 'value="20"' in row
    assert "500 / 2,500" in row
    assert 'data-state="running"' in row


def test_a_run_of_points_is_judged_by_their_own_figures(ada: Client, user: Any, redis_server: None) -> None:
    bundled_teachers_register()
    spec = find_preset("toy-2d").spec
    run = run_create(owner=user, name="toy", preset="toy-2d", spec=spec)
    record(
        claim(),
        started(),
        evaluation(0, "teacher", sliced_wasserstein=0.0195, precision=0.97, modes=8.0),
        evaluation(0, sliced_wasserstein=0.3735, precision=0.07, modes=0.0),
    )
    row = rows_html([run.pk])[run.pk]
    assert "0.3735" in row
    assert "teacher 0.0195" in row
    page = ada.get(f"/runs/{run.pk}/").content.decode()
    heads = re.findall(r'<th [^>]*data-figure="(\w+)" data-form="(\w+)"', page)
    assert heads == [("sliced_wasserstein", "4"), ("precision", "percent"), ("modes", "0")]
    assert 'data-series="sliced_wasserstein"' in page
    assert "frechet" not in page


def test_a_row_says_why_a_run_failed_and_what_was_asked_of_it(ada: Client, launch: Any) -> None:
    failed, asked = launch("failed"), launch("asked")
    job = claim()
    job_end(job.pk, token_of(job), JobState.FAILED, reason="the student's loss is not finite")
    assert "the student&#x27;s loss is not finite" in rows_html([failed.pk])[failed.pk]
    bring_to(asked, JobState.RUNNING)
    ada.post(f"/runs/{asked.pk}/actions/cancel/")
    assert "cancelling…" in rows_html([asked.pk])[asked.pk]


def test_there_is_no_row_for_a_run_that_does_not_exist(db: None) -> None:
    assert rows_html([4711]) == {}


def test_every_filter_narrows_the_list(ada: Client, launch: Any, user: Any) -> None:
    run = launch("mine")
    run.tags.create(name="keep")
    for query in (
        {"owner": "ada"},
        {"teacher": run.teacher_id},
        {"preset": "digits-demo"},
        {"objective": "sim"},
        {"tag": "keep"},
        {"archived": "all"},
    ):
        assert names(ada, **query) == ["mine"], query
    for query in (
        {"owner": "bob"},
        {"teacher": run.teacher_id + 1},
        {"preset": "other"},
        {"objective": "sid"},
        {"tag": "keen"},
        {"archived": "only"},
        {"group": 1},
    ):
        assert names(ada, **query) == [], query
    for odd in (
        {"teacher": "x"},
        {"objective": "\x00"},
        {"archived": "no such"},
        {"sort": "no such"},
        {"group": "9" * 30},
    ):
        assert names(ada, **odd) == ["mine"], odd


def test_the_list_sorts_both_ways_with_what_is_missing_last(ada: Client, launch: Any) -> None:
    for name, figure in (("b", 2.0), ("a", 3.0), ("c", None)):
        launch(name)
        job = claim()
        record(job, started(), *([evaluation(100, frechet=figure)] if figure else []))
        job_end(job.pk, token_of(job), JobState.SUCCEEDED)
    assert names(ada, sort="name") == ["a", "b", "c"]
    assert names(ada, sort="-name") == ["c", "b", "a"]
    assert names(ada, sort="figure") == ["b", "a", "c"]
    assert names(ada, sort="-figure") == ["a", "b", "c"]
    assert names(ada, sort="age") == ["c", "a", "b"]
    page = ada.get("/runs/", {"sort": "name", "q": ""}).content.decode()
    assert 'aria-sort="ascending"' in page
    assert "?sort=-name" in page
