"""Every event exactly once, in order, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import websockets

from tests.stack import Stack, Visitor, wait_for

RUN = {
    "iterations": 150,
    "batch_size": 8,
    "threads": 1,
    "evaluation.every": 0,
    "evaluation.final_samples": 100,
    "schedule.samples_every": 50,
    "schedule.checkpoint_every": 50,
}


@pytest.fixture
def stack(tmp_path: Path) -> Any:
    with Stack(tmp_path / "data") as stack:
        yield stack


class Watcher:
    """Receives a run's events over a TCP connection that can be cut."""

    def __init__(self, visitor: Visitor, run: int) -> None:
        self.cookie, self.run = visitor.cookie_header, run
        self.seen: list[dict[str, Any]] = []

    async def receive(self, port: int, *, until_more: int = 10**9, since: int | None = None) -> None:
        """Collect until exactly that many more events came, then cut the connection; or until the end.

        Where the last message held more, it counts as torn: the rest of its batch never arrived.
        """
        since = self.seen[-1]["seq"] if since is None else since
        url = f"ws://127.0.0.1:{port}/ws/runs/{self.run}/?since={since}"
        headers = {"Cookie": self.cookie, "Origin": f"http://127.0.0.1:{port}"}
        start = len(self.seen)
        socket = await websockets.connect(url, additional_headers=headers, max_size=None)
        try:
            async for text in socket:
                self.seen += json.loads(text).get("events", [])
                if len(self.seen) - start >= until_more or self.ended():
                    del self.seen[start + until_more :]
                    return
        finally:
            socket.transport.abort()

    def ended(self) -> bool:
        return any(event["type"] == "state" and event["to"] == "succeeded" for event in self.seen)


def test_a_late_watcher_that_is_cut_and_moves_to_another_server_misses_nothing(stack: Stack) -> None:
    first, second = stack.start_web(), stack.start_web()
    run = stack.launch(RUN)
    stack.start_worker()
    stack.start_beat()
    watcher = Watcher(Visitor(first), run)
    wait_for(lambda: stack.job(run)["step"] >= 20, 120, "the run trains")

    async def watch() -> None:
        await watcher.receive(first, until_more=35, since=0)  # late: replayed from the database
        for port in (second, first, second):
            await watcher.receive(port, until_more=20)  # cut in the middle of a live batch
        await watcher.receive(first)

    # In a thread of its own: the browser of the tests before holds this one's event loop.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, asyncio.wait_for(watch(), 180)).result()
    stored = stack.job(run)
    assert stored["state"] == "succeeded", stored
    assert [event["seq"] for event in watcher.seen] == list(range(1, stored["event_seq"] + 1))
    assert [event["step"] for event in watcher.seen if event["type"] == "metrics"] == list(range(1, 151))
