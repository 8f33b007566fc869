from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.jobs.services import job_end
from studio.runs.distillation import run_folder
from studio.runs.models import Checkpoint, SampleGrid
from tests.studio.builders import bring_to, checkpoint, claim, log, record, samples, started, token_of

PNG = b"\x89PNG\r\n\x1a\n picture"


@pytest.fixture
def job(run: Any) -> Job:
    """A running job with a grid and a checkpoint of step 50 on disk."""
    job = bring_to(run, JobState.RUNNING)
    record(job, samples(50), checkpoint(50, b"weights"))
    write(job, "samples/student-50.png", PNG)
    write(job, "checkpoints/50.safetensors", b"weights")
    return job


def write(job: Job, name: str, content: bytes) -> Path:
    path = run_folder(job.pk) / "attempts/1" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def sample_url(job: Job) -> str:
    return f"/runs/{job.pk}/samples/{SampleGrid.objects.get().pk}.png"


def checkpoint_url(job: Job) -> str:
    return f"/runs/{job.pk}/checkpoints/{Checkpoint.objects.get().pk}/"


def test_a_sample_grid_is_an_image_that_browsers_keep(ada: Client, job: Job) -> None:
    response = ada.get(sample_url(job))
    assert response.content == PNG
    assert response["Content-Type"] == "image/png"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "private" in response["Cache-Control"]
    assert "immutable" in response["Cache-Control"]


def test_a_checkpoint_downloads_whole_under_a_name_that_says_what_it_is(ada: Client, job: Job) -> None:
    response = ada.get(checkpoint_url(job))
    assert b"".join(response.streaming_content) == b"weights"  # type: ignore[attr-defined]
    assert response["Content-Disposition"] == f'attachment; filename="run-{job.pk}-step-50.safetensors"'
    assert response["Content-Length"] == "7"


@pytest.mark.parametrize("url", [sample_url, checkpoint_url])
def test_a_file_that_is_gone_is_not_found(ada: Client, job: Job, url: Any) -> None:
    for path in (run_folder(job.pk) / "attempts/1").rglob("*.*"):
        path.unlink()
    assert ada.get(url(job)).status_code == 404


@pytest.mark.parametrize("part", ["samples/4711.png", "checkpoints/4711/"])
def test_a_file_without_a_row_is_not_found(ada: Client, job: Job, part: str) -> None:
    assert ada.get(f"/runs/{job.pk}/{part}").status_code == 404


def test_another_runs_address_does_not_give_the_file(ada: Client, job: Job) -> None:
    assert ada.get(sample_url(job).replace(f"/{job.pk}/", f"/{job.pk + 1}/", 1)).status_code == 404
    assert ada.get(checkpoint_url(job).replace(f"/{job.pk}/", f"/{job.pk + 1}/", 1)).status_code == 404


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous")
def test_the_log_tells_the_whole_story_in_order(ada: Client, job: Job) -> None:
    record(job, log("the first attempt speaks"))
    write(job, "stderr.log", b"a warning of a library\n")
    job_end(job.pk, token_of(job), JobState.QUEUED, reason="its worker was stopped")
    second = claim("worker-2")
    record(second, started(50), log("the second attempt speaks"))
    response = ada.get(f"/runs/{job.pk}/log/")
    assert response["Content-Disposition"] == f'attachment; filename="run-{job.pk}.log"'
    text = b"".join(response).decode()
    order = [
        "attempt 1 queued → starting, by worker-1",
        "attempt 1 checkpoint at step 50",
        "attempt 1 info: the first attempt speaks",
        "attempt 1 running → queued (its worker was stopped), by worker-1",
        "attempt 2 queued → starting, by worker-2",
        "attempt 2 started at step 50",
        "attempt 2 info: the second attempt speaks",
        "standard error of attempt 1:",
        "a warning of a library",
    ]
    places = [text.index(line) for line in order]
    assert places == sorted(places)


def test_the_log_of_a_run_that_has_not_begun_is_short(ada: Client, run: Any) -> None:
    assert ada.get(f"/runs/{run.pk}/log/").status_code == 200
    assert ada.get("/runs/4711/log/").status_code == 404
