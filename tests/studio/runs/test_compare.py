from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from simcore.presets import find_preset
from studio.runs.models import Run
from studio.runs.services import run_create
from tests.studio.builders import claim, evaluation, metrics, record, samples, started


@pytest.fixture
def launch(user: Any, teacher: Any, redis_server: None) -> Any:
    """Launch a trained run with a learning rate of the student."""

    def launch(name: str, rate: float = 1e-4) -> Run:
        spec = find_preset("digits-demo").spec
        optimizer = spec.student_optimizer.model_copy(update={"learning_rate": rate})
        spec = spec.model_copy(update={"student_optimizer": optimizer})
        run = run_create(owner=user, name=name, preset="digits-demo", spec=spec)
        job = claim()
        record(job, started(), metrics(1), samples(50), evaluation(50, frechet=5.0), evaluation(100, frechet=7.0))
        return run

    return launch


def compare(client: Client, runs: str) -> Any:
    return client.get("/runs/compare/", {"runs": runs})


def test_runs_are_compared_in_the_order_asked_for(ada: Client, launch: Any) -> None:
    first, second = launch("first"), launch("second", 2e-4)
    page = compare(ada, f"{second.pk},{first.pk}").content.decode()
    figures = page[page.index('class="figures"') :]
    assert figures.index("second") < figures.index("first")
    differing = page[page.index("Settings that differ") :]
    assert re.findall(r"<code[^>]*>([\w.]+)</code>", differing) == ["student_optimizer.learning_rate"]
    assert re.findall(r"<td>([^<]+)</td>", differing) == ["0.0002", "0.0001"]
    assert "7.00" in figures
    assert "5.00" in figures, "the best beside the newest"
    assert f"/runs/{first.pk}/samples/" in page
    assert f'data-runs="{second.pk},{first.pk}"' in page


def test_ticked_runs_lead_to_one_address_that_can_be_shared(ada: Client, launch: Any) -> None:
    runs = [launch("a").pk, launch("b").pk]
    response = ada.get(f"/runs/compare/?runs={runs[0]}&runs={runs[1]}&smooth=0.6")
    assert response["Location"] == f"/runs/compare/?runs={runs[0]},{runs[1]}&smooth=0.6"
    assert ada.get(response["Location"]).status_code == 200


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("", "takes two runs at least"),
        ("1", "takes two runs at least"),
        ("1,1", "takes two runs at least"),
        ("1,2,3,4,5,6,7,8,9", "takes up to 8 runs; 9 were asked for"),
        ("1,x", "“x” is no run&#x27;s number"),
        ("1,-2", "“-2” is no run&#x27;s number"),
        ("4711,4712", "There is no run 4711, 4712."),
        (f"1,{'9' * 40}", "is no run&#x27;s number"),
    ],
)
def test_what_cannot_be_compared_is_said(ada: Client, db: None, asked: str, said: str) -> None:
    response = compare(ada, asked)
    assert response.status_code == 422
    assert said in response.content.decode()


def test_eight_runs_take_the_queries_of_two(ada: Client, launch: Any) -> None:
    runs = [str(launch(f"run {number}").pk) for number in range(8)]

    def queries(ids: list[str]) -> int:
        with CaptureQueriesContext(connection) as context:
            assert compare(ada, ",".join(ids)).status_code == 200
        return len(context)

    assert queries(runs) == queries(runs[:2])


def test_equal_runs_differ_in_nothing(ada: Client, launch: Any) -> None:
    page = compare(ada, f"{launch('a').pk},{launch('b').pk}").content.decode()
    assert "All settings are the same." in page
