from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.sessions.models import Session

from studio.jobs import publisher
from studio.jobs.hub import Subscription, hub
from studio.jobs.lifecycle import JobState, UserAction
from studio.jobs.models import Job
from studio.jobs.publisher import JOBS_GROUP, job_group
from studio.jobs.services import job_act
from studio.runs import consumers
from tests.studio.builders import bring_to, log, metrics, record
from tests.studio.watching import (
    ORIGIN,
    close_code,
    eventually,
    in_database,
    next_events,
    numbers,
    session_of,
    socket,
    until_live,
    watching,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def job(run: Any) -> Job:
    """A running job; three events are stored: two moves and the trainer's start."""
    job = bring_to(run, JobState.RUNNING)
    assert job.event_seq == 3
    return job


@pytest.fixture
def cookie(user: Any) -> str:
    return session_of(user)


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Record something whose message is lost on its way to Redis."""

    def build(job: Job, *said: Any) -> None:
        with monkeypatch.context() as context:
            context.setattr(publisher, "publish_events", lambda *_: None)
            record(job, *said)

    return build


def address(job: Job, query: str = "") -> str:
    return f"/ws/runs/{job.pk}/{query}"


def watchers(job: Job) -> set[Subscription]:
    """The sockets that this process serves for a run."""
    group = hub._groups.get(job_group(job.pk))
    return group.sockets if group else set()


async def someone_watches_the_list() -> None:
    await eventually(lambda: JOBS_GROUP in hub._groups and hub._groups[JOBS_GROUP].ready.is_set(), "it has subscribed")


# ---- who may watch


@pytest.mark.parametrize("path", ["/ws/runs/", "/ws/runs/1/"])
async def test_strangers_are_told_to_sign_in(run: Any, path: str) -> None:
    for cookie in ("", "sessionid=forged"):
        stranger = socket(path, cookie)
        assert await stranger.connect()
        assert await close_code(stranger) == 4401


async def test_somebody_who_was_deactivated_is_a_stranger(user: Any, cookie: str, job: Job) -> None:
    user.is_active = False
    await in_database(user.save)()
    watcher = socket(address(job), cookie)
    assert await watcher.connect()
    assert await close_code(watcher) == 4401


@pytest.mark.parametrize("path", ["/ws/runs/", "/ws/runs/1/"])
@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost.evil.example", ""])
async def test_another_site_cannot_open_a_socket(cookie: str, run: Any, path: str, origin: str) -> None:
    assert not await socket(path, cookie, origin).connect()


@pytest.mark.parametrize(
    "said", [{"text": "no json"}, {"text": "[" * 4000}, {"bytes": b"\xff"}, {"text": "", "bytes": None}]
)
async def test_whatever_a_watcher_says_is_ignored(cookie: str, job: Job, said: dict[str, Any]) -> None:
    async with watching(address(job), cookie) as watcher:
        assert numbers(await until_live(watcher)) == [1, 2, 3]
        await watcher.send_input({"type": "websocket.receive", "text": None, **said})
        await in_database(record)(job, metrics(1))
        assert numbers(await next_events(watcher, 1)) == [4]


@pytest.mark.parametrize("path", ["/ws/runs/", "/ws/runs/1/"])
@pytest.mark.parametrize("how", ["signed out", "deactivated", "new password"])
async def test_an_open_socket_closes_when_its_session_ends(
    user: Any, run: Any, cookie: str, monkeypatch: pytest.MonkeyPatch, path: str, how: str
) -> None:
    monkeypatch.setattr(consumers, "ACCESS_SECONDS", 0.1)
    watcher = socket(path.replace("1", str(run.pk)), cookie)
    assert await watcher.connect()
    await asyncio.sleep(0.3)  # while the session lasts, the socket does
    if how == "signed out":
        await in_database(Session.objects.all().delete)()
    elif how == "deactivated":
        user.is_active = False
        await in_database(user.save)()
    else:
        user.set_password("another horse")
        await in_database(user.save)()
    assert await close_code(watcher) == 4401


async def test_a_run_that_does_not_exist_is_gone(cookie: str) -> None:
    watcher = socket("/ws/runs/4711/", cookie)
    assert await watcher.connect()
    assert await watcher.receive_json() == {"type": "gone"}
    assert await close_code(watcher) == 4404


# ---- one run


async def test_everything_is_replayed_then_comes_live(cookie: str, job: Job) -> None:
    async with watching(address(job), cookie) as watcher:
        replayed = await until_live(watcher)
        assert numbers(replayed) == [1, 2, 3]
        assert sorted(event["type"] for event in replayed) == ["started", "state", "state"]
        await in_database(record)(job, metrics(1, student_loss=0.5), log("hello"))
        loss, hello = await next_events(watcher, 2)
        assert (loss["seq"], loss["type"], loss["step"], loss["values"]) == (4, "metrics", 1, {"student_loss": 0.5})
        assert (hello["seq"], hello["message"]) == (5, "hello")
        await in_database(job_act)(job, UserAction.PAUSE, actor="ada")
        (state,) = await next_events(watcher, 1)
        assert (state["seq"], state["from"], state["to"], state["actor"]) == (6, "running", "pausing", "ada")
        assert [action["name"] for action in state["actions"]] == ["cancel"]


async def test_who_comes_back_gets_what_was_missed(cookie: str, job: Job) -> None:
    await in_database(record)(job, metrics(1), metrics(2))
    async with watching(address(job, "?since=4"), cookie) as watcher:
        assert numbers(await until_live(watcher)) == [5]


@pytest.mark.parametrize("since", ["", "x", "-1", "1.5", "²", "9" * 5000, "%00", "3;drop"])
async def test_a_number_that_is_none_counts_from_the_beginning(cookie: str, job: Job, since: str) -> None:
    async with watching(address(job, f"?since={since}"), cookie) as watcher:
        assert numbers(await until_live(watcher)) == [1, 2, 3]


async def test_who_has_everything_gets_nothing_again(cookie: str, job: Job) -> None:
    async with watching(address(job, "?since=3"), cookie) as watcher:
        assert await until_live(watcher) == []


async def test_a_long_replay_comes_in_pieces(cookie: str, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "REPLAY_BATCH", 4)
    await in_database(record)(job, *(log(str(number)) for number in range(10)))
    async with watching(address(job), cookie) as watcher:
        sizes = []
        while (message := await watcher.receive_json())["type"] == "events":
            sizes.append(len(message["events"]))
        assert sizes == [4, 4, 4, 1]


async def test_a_message_lost_on_the_way_is_read_from_the_database(cookie: str, job: Job, lost: Any) -> None:
    async with watching(address(job, "?since=3"), cookie) as watcher:
        await until_live(watcher)
        await in_database(lost)(job, log("lost"))
        await in_database(record)(job, log("arrives"))
        events = await next_events(watcher, 2)
        assert [(event["seq"], event["message"]) for event in events] == [(4, "lost"), (5, "arrives")]


async def test_the_last_message_lost_is_found_after_a_silence(
    cookie: str, job: Job, lost: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "CHECK_SECONDS", 0.2)
    async with watching(address(job, "?since=3"), cookie) as watcher:
        await until_live(watcher)
        await in_database(lost)(job, log("lost"))
        (event,) = await next_events(watcher, 1)
        assert (event["seq"], event["message"]) == (4, "lost")


async def test_a_message_that_comes_twice_is_shown_once(cookie: str, job: Job) -> None:
    async with watching(address(job, "?since=3"), cookie) as watcher:
        await until_live(watcher)
        await in_database(record)(job, log("once"))
        (once,) = await next_events(watcher, 1)
        publisher.publish_events(job.pk, [once])
        await in_database(record)(job, log("then"))
        assert [event["message"] for event in await next_events(watcher, 1)] == ["then"]


async def test_a_socket_that_overflows_recovers(cookie: str, job: Job, lost: Any) -> None:
    async with watching(address(job, "?since=3"), cookie) as watcher:
        await until_live(watcher)
        (subscription,) = watchers(job)
        subscription._queue._maxsize = 2  # type: ignore[attr-defined]
        for number in range(6):
            await in_database(lost)(job, log(str(number)))
        rows = await in_database(lambda: list(job.events.filter(seq__gt=3)))()
        for row in rows:  # six messages at once, before the socket can take any: four are dropped
            subscription.offer({"events": [row.as_message()]})
        assert subscription._queue.full()
        await in_database(record)(job, log("6"))
        events = await next_events(watcher, 7)
        assert [event["message"] for event in events] == [str(number) for number in range(7)]
        assert numbers(events) == list(range(4, 11))


async def test_many_watchers_of_one_run_all_get_everything_in_order(cookie: str, job: Job) -> None:
    async def watch(since: int) -> list[int]:
        async with watching(address(job, f"?since={since}"), cookie) as watcher:
            events = await until_live(watcher)
            events += await next_events(watcher, 23 - since - len(events))
            return numbers(events)

    async def train() -> None:
        await eventually(lambda: len(watchers(job)) == 8, "eight watchers")
        for step in range(1, 21):
            await in_database(record)(job, metrics(step))

    *seen, _ = await asyncio.gather(*(watch(since % 4) for since in range(8)), train())
    assert seen == [list(range(since % 4 + 1, 24)) for since in range(8)]


# ---- the list


async def test_rows_that_change_are_sent_as_the_list_shows_them(
    cookie: str, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "ROW_SECONDS", 0.05)
    async with watching("/ws/runs/", cookie) as watcher:
        await someone_watches_the_list()
        first = await watcher.receive_json()  # it may have changed since the page was made
        assert "0 / 2,500" in first["html"]
        await in_database(record)(job, metrics(250))
        message = await watcher.receive_json()
        assert (message["type"], message["id"]) == ("row", job.pk)
        assert message["html"].startswith(f'<tr id="run-{job.pk}">')
        assert "250 / 2,500" in message["html"]


async def test_changes_in_quick_succession_are_sent_together(
    cookie: str, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "ROW_SECONDS", 0.5)
    async with watching("/ws/runs/", cookie) as watcher:
        await someone_watches_the_list()
        await watcher.receive_json()
        for step in range(1, 11):
            await in_database(record)(job, metrics(step))
        rows = [await watcher.receive_json()]
        while "10 / 2,500" not in rows[-1]["html"]:
            rows.append(await watcher.receive_json())
        assert len(rows) < 10
        assert await watcher.receive_nothing(timeout=0.2)


async def test_a_change_of_the_list_whose_message_was_lost_is_found(
    cookie: str, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "CHECK_SECONDS", 0.2)
    async with watching("/ws/runs/", cookie) as watcher:
        await watcher.receive_json()
        await in_database(Job.objects.filter(pk=job.pk).update)(step=77)  # nothing is published
        assert "77 / 2,500" in (await watcher.receive_json())["html"]
        assert await watcher.receive_nothing(timeout=0.5), "what has not changed is not sent again"


def test_the_origin_used_here_is_one_that_is_allowed(settings: Any) -> None:
    assert ORIGIN.removeprefix("http://") in settings.ALLOWED_HOSTS
