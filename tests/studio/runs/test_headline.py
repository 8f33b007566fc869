"""Runs on points are judged by their own figure, wherever runs are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from simcore.presets import find_preset
from studio.catalog.services import bundled_teachers_register
from studio.jobs.lifecycle import JobState
from studio.jobs.services import job_end
from studio.runs.distillation import run_folder
from studio.runs.groups import group_create, plan_sweep, read_axis
from studio.runs.models import Run
from studio.runs.retention import superfluous
from studio.runs.services import run_create
from tests.studio.builders import checkpoint, claim, evaluation, record, started, token_of


@pytest.fixture
def toy(user: Any, redis_server: None) -> Any:
    """Launch a run of the toy with these distances at its evaluations."""
    bundled_teachers_register()

    def toy(name: str, *distances: float) -> Run:
        run = run_create(owner=user, name=name, preset="toy-2d", spec=find_preset("toy-2d").spec)
        finish(*distances)
        return run

    return toy


def finish(*distances: float) -> None:
    job = claim()
    record(job, started(), evaluation(0, "teacher", sliced_wasserstein=0.0125))
    for number, distance in enumerate(distances, start=1):
        record(job, evaluation(100 * number, sliced_wasserstein=distance, modes=8.0))
    job_end(job.pk, token_of(job), JobState.SUCCEEDED)


def test_the_list_sorts_by_each_runs_own_figure(ada: Client, toy: Any) -> None:
    toy("worse", 0.5)
    toy("better", 0.9, 0.1)
    page = ada.get("/runs/", {"sort": "figure"}).content.decode()
    assert page.index("better") < page.index("worse")
    assert "0.1000" in page


def test_a_comparison_shows_the_newest_the_best_and_the_teachers(ada: Client, toy: Any) -> None:
    first, second = toy("first", 0.3, 0.4), toy("second", 0.2)
    page = ada.get("/runs/compare/", {"runs": f"{first.pk},{second.pk}"}).content.decode()
    row = page[page.index(">first</a>") : page.index(">second</a>")]
    assert re.findall(r"\d\.\d{4}", row) == ["0.4000", "0.3000", "0.0125"]
    assert "Modes 8" in row
    assert 'data-series="sliced_wasserstein"' in page
    assert 'data-series="frechet"' not in page


def test_a_groups_table_and_curves_are_of_the_figure(ada: Client, user: Any, toy: Any) -> None:
    spec = find_preset("toy-2d").spec
    plan = plan_sweep(spec, [read_axis("batch_size", "32,64")], (0, 1))
    group = group_create(owner=user, name="", preset="toy-2d", plan=plan)
    for distance in (0.2, 0.4, 0.5, 0.5):
        finish(distance)
    page = ada.get(f"/runs/groups/{group.pk}/").content.decode()
    assert "Final Sliced W₁" in page
    assert "<strong>0.3000</strong>" in page
    assert "± 0.1414" in page
    assert 'data-series="sliced_wasserstein"' in page


def test_the_best_checkpoint_is_kept(user: Any, toy: Any, settings: Any, tmp_path: Path) -> None:
    settings.RUNS_FOLDER = tmp_path
    spec = find_preset("toy-2d").spec
    schedule = spec.schedule.model_copy(update={"keep_last": 1, "keep_best": True, "keep_every": 0})
    run = run_create(owner=user, name="", preset="toy-2d", spec=spec.model_copy(update={"schedule": schedule}))
    job = claim()
    record(job, started())
    for step, distance in ((10, 0.3), (20, 0.1), (30, 0.2), (40, 0.4)):
        path = run_folder(job.pk) / f"attempts/{job.attempt}/checkpoints/{step}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"full")
        record(job, evaluation(step, sliced_wasserstein=distance), checkpoint(step))
    run.refresh_from_db()
    assert [row.step for row in superfluous(run)] == [10, 30]
