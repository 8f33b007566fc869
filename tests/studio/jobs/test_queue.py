from __future__ import annotations

import random
from typing import Any

import pytest
from django.db import connection

from simcore.presets import find_preset
from studio.jobs.lifecycle import UserAction
from studio.jobs.models import Job
from studio.jobs.queue import DIRECTIONS, QueueError, job_move, job_set_priority
from studio.jobs.services import job_act
from studio.pool.selectors import queue_in_order
from studio.runs.services import run_create


@pytest.fixture
def jobs(user: Any, teacher: Any, redis_server: None) -> list[Job]:
    """Five that wait, with priorities 1, 1, 0, 0, 0, in this order."""
    spec = find_preset("digits-demo").spec
    runs = [run_create(owner=user, name=str(number), preset="digits-demo", spec=spec) for number in range(5)]
    Job.objects.filter(pk__in=[run.pk for run in runs[:2]]).update(priority=1)
    return [Job.objects.get(pk=run.pk) for run in runs]


def order(jobs: list[Job]) -> list[int]:
    """The places in `jobs` of what waits, in the queue's order."""
    places = {job.pk: place for place, job in enumerate(jobs)}
    return [places[job.pk] for job in queue_in_order()]


def test_a_job_moves_one_place_or_to_an_end(jobs: list[Job]) -> None:
    assert order(jobs) == [0, 1, 2, 3, 4]
    job_move(jobs[3], "up", actor="admin")
    assert order(jobs) == [0, 1, 3, 2, 4]
    job_move(jobs[0], "down", actor="admin")
    assert order(jobs) == [1, 0, 3, 2, 4]
    job_move(jobs[4], "first", actor="admin")
    assert order(jobs) == [4, 1, 0, 3, 2]
    job_move(jobs[1], "last", actor="admin")
    assert order(jobs) == [4, 0, 3, 2, 1]


def test_at_an_end_nothing_moves(jobs: list[Job]) -> None:
    before = list(Job.objects.order_by("pk").values())
    job_move(jobs[0], "up", actor="admin")
    job_move(jobs[4], "down", actor="admin")
    job_move(jobs[4], "last", actor="admin")
    assert list(Job.objects.order_by("pk").values()) == before


def test_any_moves_do_to_the_queue_what_they_do_to_a_list(jobs: list[Job]) -> None:
    Job.objects.update(queued_at=jobs[0].queued_at)  # all at one moment: the hardest case
    expected, chosen = order(jobs), random.Random(7)
    for _ in range(60):
        place, direction = chosen.choice(expected), chosen.choice(DIRECTIONS)
        old = expected.index(place)
        new = {"first": 0, "up": max(0, old - 1), "down": min(4, old + 1), "last": 4}[direction]
        expected.insert(new, expected.pop(old))
        job_move(jobs[place], direction, actor="admin")
        assert order(jobs) == expected, connection.vendor


def test_a_priority_orders_and_is_audited(jobs: list[Job]) -> None:
    job_set_priority(jobs[4], 5, actor="admin")
    assert order(jobs) == [4, 0, 1, 2, 3]
    last = jobs[4].transitions.last()
    assert last is not None
    assert (last.actor, last.reason, last.from_state, last.to_state) == ("admin", "priority 0 → 5", "queued", "queued")


@pytest.mark.parametrize("priority", [-101, 101])
def test_a_priority_out_of_bounds_is_refused(jobs: list[Job], priority: int) -> None:
    with pytest.raises(QueueError, match="between −100 and 100"):
        job_set_priority(jobs[0], priority, actor="admin")


def test_what_does_not_wait_has_no_place(jobs: list[Job]) -> None:
    job_act(jobs[0], UserAction.CANCEL, actor="ada")
    with pytest.raises(QueueError, match="this one is cancelled"):
        job_move(jobs[0], "down", actor="admin")
    with pytest.raises(QueueError):
        job_set_priority(jobs[0], 3, actor="admin")
