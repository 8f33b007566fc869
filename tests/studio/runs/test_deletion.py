from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from studio.accounts.models import AuditAction, AuditEntry
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job, JobEvent
from studio.jobs.services import job_end
from studio.runs.distillation import run_folder
from studio.runs.models import Metric, Run
from tests.studio.builders import bring_to, checkpoint, claim, metrics, record, started, token_of


@pytest.fixture
def written(run: Run, settings: Any, tmp_path: Path) -> Path:
    """The folder of a run that has written something."""
    settings.RUNS_FOLDER = tmp_path
    folder = run_folder(run.pk)
    folder.mkdir()
    (folder / "log").touch()
    return folder


def test_an_ended_run_goes_with_its_records_and_files(
    ada: Client, run: Run, written: Path, django_capture_on_commit_callbacks: Any
) -> None:
    job = claim()
    record(job, started(), metrics(1), checkpoint(50))
    job_end(job.pk, token_of(job), JobState.SUCCEEDED)
    assert "Delete" in ada.get(f"/runs/{run.pk}/").content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        page = ada.post(f"/runs/{run.pk}/delete/", follow=True).content.decode()
    assert "first is deleted." in page
    assert not any(model.objects.exists() for model in (Run, Job, JobEvent, Metric))
    assert not written.exists()
    assert str(AuditEntry.objects.get(action=AuditAction.DELETED)) == f"ada deleted run {run.pk} (first)"


def test_a_run_that_goes_on_is_not_deleted(ada: Client, run: Run, written: Path) -> None:
    answer = ada.delete(f"/api/v1/runs/{run.pk}")
    assert (answer.status_code, "cancel it before" in answer.json()["detail"]) == (409, True)
    assert "Delete" not in ada.get(f"/runs/{run.pk}/").content.decode()
    assert "cancel it before" in ada.post(f"/runs/{run.pk}/delete/", follow=True).content.decode()
    assert Run.objects.exists()
    assert written.exists()


def test_a_teacher_can_be_deleted_once_its_runs_are(ada: Client, run: Run, written: Path) -> None:
    bring_to(run, JobState.FAILED)
    assert ada.delete(f"/api/v1/runs/{run.pk}").status_code == 204
    assert ada.get(f"/api/v1/runs/{run.pk}").status_code == 404
    assert not run.teacher.runs.exists()
