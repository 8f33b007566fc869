from __future__ import annotations

from typing import Any

import pytest

from simcore.config import SpecError
from simcore.presets import find_preset
from studio.jobs.lifecycle import JobState, UserAction
from studio.jobs.models import Job
from studio.jobs.services import job_act, job_end, job_renew
from studio.pool.guard import disk_guard
from studio.pool.needs import GIB
from studio.runs.prepare import checkpoints_on_disk, disk_forecast, prepare
from studio.runs.rows import run_row
from studio.runs.services import run_create
from tests.conftest import teacher_card
from tests.launch_spec import spec_with
from tests.studio.builders import bring_to, token_of


@pytest.fixture(autouse=True)
def reserve(settings: Any) -> None:
    settings.DISK_RESERVE = 2 * GIB


@pytest.fixture
def paused_for_disk(run: Any) -> Job:
    job = bring_to(run, JobState.RUNNING)
    disk_guard(1 * GIB)
    assert job_renew(job.pk, token_of(job)) == "pause"
    job_end(job.pk, token_of(job), JobState.PAUSED)
    return Job.objects.get(pk=job.pk)


def test_a_running_job_pauses_with_a_message(run: Any, paused_for_disk: Job) -> None:
    assert paused_for_disk.state == "paused"
    run.refresh_from_db()
    said = "the disk is nearly full: 1 GiB free, 2 GiB are kept in reserve; it goes on by itself when there is space"
    assert run_row(run).reason == said
    moves = paused_for_disk.transitions.filter(to_state__in=("pausing", "paused"))
    assert list(moves.values_list("reason", flat=True)) == [said, said]


def test_it_goes_on_only_with_room_to_spare(paused_for_disk: Job) -> None:
    disk_guard(int(2.1 * GIB))
    paused_for_disk.refresh_from_db()
    assert paused_for_disk.state == "paused", "at the mark itself it would pause again at once"
    disk_guard(3 * GIB)
    paused_for_disk.refresh_from_db()
    assert (paused_for_disk.state, paused_for_disk.hold) == ("queued", "")


def test_what_a_person_paused_stays_paused(run: Any) -> None:
    job = bring_to(run, JobState.PAUSED)
    disk_guard(3 * GIB)
    job.refresh_from_db()
    assert job.state == "paused"


def test_a_person_may_cancel_what_waits_for_the_disk(paused_for_disk: Job) -> None:
    job_act(paused_for_disk, UserAction.CANCEL, actor="ada")
    disk_guard(3 * GIB)
    paused_for_disk.refresh_from_db()
    assert (paused_for_disk.state, paused_for_disk.hold) == ("cancelled", "")


def test_a_request_that_is_on_its_way_is_not_replaced(run: Any) -> None:
    job = bring_to(run, JobState.RUNNING)
    job_act(job, UserAction.CANCEL, actor="ada")
    disk_guard(0)
    assert job_renew(job.pk, token_of(job)) == "cancel"


def test_without_a_reserve_nothing_pauses(run: Any, settings: Any) -> None:
    settings.DISK_RESERVE = 0
    job = bring_to(run, JobState.RUNNING)
    disk_guard(0)
    job.refresh_from_db()
    assert job.state == "running"


def test_the_forecast_counts_what_the_schedule_keeps() -> None:
    spec = spec_with({"iterations": 1000, "schedule.checkpoint_every": 10})
    assert checkpoints_on_disk(spec) == 3 + 1 + 1
    every = spec_with({"iterations": 1000, "schedule.checkpoint_every": 10, "schedule.keep_every": 100})
    assert checkpoints_on_disk(every) == 3 + 1 + 10 + 1
    short = spec_with({"iterations": 20, "schedule.checkpoint_every": 10})
    assert checkpoints_on_disk(short) == 2
    assert disk_forecast(short, 1000) == 2 * 7 * 4 * 1000


def test_a_run_whose_checkpoints_would_not_fit_is_refused(
    settings: Any, user: Any, teacher: Any, redis_server: None
) -> None:
    settings.DISK_RESERVE = 2**60
    with pytest.raises(SpecError, match=r"would keep 5 checkpoints, .* but the disk has room for 0 MiB; keep fewer"):
        prepare(find_preset("digits-demo").spec, teacher_card())
    with pytest.raises(SpecError):
        run_create(owner=user, name="", preset="digits-demo", spec=find_preset("digits-demo").spec)
    assert not Job.objects.exists()
