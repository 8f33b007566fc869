"""List pages take the same number of queries for 10 rows and for 1,000."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from simcore.presets import find_preset
from studio.jobs.models import Job
from studio.runs.models import Evaluation, Metric, Run, RunGroup, RunTag


def fill(user: Any, teacher: Any, count: int) -> None:
    """That many runs, each with a group, a tag, points and an evaluation."""
    spec = find_preset("digits-demo").spec.model_dump(mode="json")
    jobs = Job.objects.bulk_create(
        Job(kind="distil", queue="runs", owner=user, spec=spec, total_steps=100, step=50, queued_at=timezone.now())
        for _ in range(count)
    )
    groups = RunGroup.objects.bulk_create(RunGroup(name=f"g{i}", kind="sweep", owner=user) for i in range(count))
    runs = Run.objects.bulk_create(
        Run(job=job, name=f"run {job.pk}", preset="digits-demo", teacher=teacher, group=group)
        for job, group in zip(jobs, groups, strict=True)
    )
    RunTag.objects.bulk_create(RunTag(run=run, name="tagged") for run in runs)
    Metric.objects.bulk_create(
        Metric(run=run, attempt=1, step=step, name=name, value=1.0)
        for run in runs
        for step, name in ((1, "student_loss"), (50, "student_loss"), (50, "frechet"))
    )
    Evaluation.objects.bulk_create(
        Evaluation(run=run, attempt=1, step=50, source="student", values={"frechet": 1.0}, samples=1, nfe=1)
        for run in runs
    )


@pytest.mark.parametrize("address", ["/runs/", "/runs/?sort=figure&tag=tagged&q=run", "/runs/groups/"])
def test_a_list_page_takes_the_same_queries_for_ten_rows_and_for_a_thousand(
    ada: Client, user: Any, teacher: Any, address: str
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert ada.get(address).status_code == 200
        return len(context)

    fill(user, teacher, 10)
    few = queries()
    fill(user, teacher, 990)
    assert Run.objects.count() == 1000
    assert queries() == few <= 16
