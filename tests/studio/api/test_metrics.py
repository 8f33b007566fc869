from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from studio.jobs.lifecycle import JobState
from tests.studio.builders import bring_to, metrics, record


@pytest.fixture
def trained(run: Any) -> Any:
    """A run with the steps 1 … 100, its loss equal to the step."""
    job = bring_to(run, JobState.RUNNING)
    record(job, *(metrics(step, student_loss=float(step), denoiser_loss=-float(step)) for step in range(1, 101)))
    job.refresh_from_db()
    return job


def url(job: Any) -> str:
    return f"/api/v1/runs/{job.pk}/metrics"


def test_series_come_with_the_number_up_to_which_they_are_complete(ada: Client, trained: Any) -> None:
    body = ada.get(url(trained), {"series": "student_loss, denoiser_loss", "width": 10}).json()
    assert (body["seq"], body["attempt"]) == (trained.event_seq, 1)
    assert body["series"]["student_loss"] == {
        "step": list(range(1, 101, 10)),
        "min": [float(step) for step in range(1, 101, 10)],
        "max": [float(step) for step in range(10, 101, 10)],
        "mean": [step + 4.5 for step in range(1, 101, 10)],
        "last": 100.0,
    }
    assert body["series"]["denoiser_loss"]["min"][0] == -10.0


def test_a_range_of_steps_is_given_in_full(ada: Client, trained: Any) -> None:
    body = ada.get(url(trained), {"series": "student_loss", "from": 20, "to": 24}).json()
    assert body["series"]["student_loss"]["step"] == [20, 21, 22, 23, 24]
    beyond = ada.get(url(trained), {"series": "student_loss", "from": 99, "to": 10**30}).json()
    assert beyond["series"]["student_loss"]["step"] == [99, 100]
    past = ada.get(url(trained), {"series": "student_loss", "from": 10**30}).json()
    assert past["series"]["student_loss"]["step"] == []


def test_a_run_without_points_has_empty_series(ada: Client, run: Any) -> None:
    body = ada.get(url(run), {"series": "student_loss"}).json()
    nothing = {"step": [], "min": [], "max": [], "mean": [], "last": None}
    assert body == {"seq": 0, "attempt": 0, "series": {"student_loss": nothing}}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "series"),
        ({"series": ""}, "series"),
        ({"series": " , "}, "series"),
        ({"series": ",".join("abcdefghijklmnopqrstu")}, "series"),
        ({"series": "a\x00b"}, "series"),
        ({"series": "x" * 1001}, "series"),
        ({"series": "a", "width": "0"}, "width"),
        ({"series": "a", "width": "5001"}, "width"),
        ({"series": "a", "width": "wide"}, "width"),
        ({"series": "a", "from": "-1"}, "from"),
        ({"series": "a", "to": "1.5"}, "to"),
    ],
)
def test_a_wrong_parameter_is_named(ada: Client, run: Any, query: dict[str, str], field: str) -> None:
    response = ada.get(url(run), query)
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert response.json()["errors"][0]["message"]


def test_a_run_that_does_not_exist_is_not_found_in_json(ada: Client, db: None) -> None:
    for number in (4711, 10**17):
        response = ada.get(f"/api/v1/runs/{number}/metrics", {"series": "a"})
        assert response.status_code == 404
        assert "detail" in response.json()


def test_strangers_are_refused_in_json(client: Client, run: Any) -> None:
    response = client.get(url(run), {"series": "a"})
    assert response.status_code == 401
    assert "detail" in response.json()


def test_series_are_only_read(ada: Client, run: Any) -> None:
    assert ada.post(url(run)).status_code == 405
