"""The two live channels: one run's events, and the rows of the list."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any
from urllib.parse import parse_qs

from channels.auth import get_user
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.contrib.sessions.backends.db import SessionStore
from django.db import DatabaseError

from studio.common.permissions import may_view
from studio.jobs.hub import Subscription, hub
from studio.jobs.publisher import JOBS_GROUP, job_group
from studio.jobs.selectors import event_seq, events_after, unsettled_jobs
from studio.operations.metrics import DELIVERED
from studio.runs.rows import rows_html

logger = logging.getLogger(__name__)

REPLAY_BATCH = 500
CHECK_SECONDS = 5.0
ACCESS_SECONDS = 15.0
ROW_SECONDS = 1.0
SIGNED_OUT, UNKNOWN, BROKEN = 4401, 4404, 1011


class LiveConsumer(AsyncJsonWebsocketConsumer):
    """Accepts people who are signed in, then runs `live` beside the socket until it closes."""

    async def connect(self) -> None:
        await self.accept()
        if not may_view(self.scope["user"]):
            await self.close(SIGNED_OUT)
            return
        self._tasks = [asyncio.create_task(self._guarded()), asyncio.create_task(self._watch_access())]

    async def disconnect(self, code: int) -> None:
        for task in getattr(self, "_tasks", ()):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **_: Any) -> None:
        """Watchers have nothing to say: whatever they send is not even decoded."""

    async def _watch_access(self) -> None:
        """Close the socket once its session has ended or its user may not look any more."""
        key = self.scope["session"].session_key
        while True:
            await asyncio.sleep(ACCESS_SECONDS)
            try:
                scope: Any = {"session": SessionStore(key)}
                user = await get_user(scope)
            except DatabaseError as error:  # asked again soon
                logger.warning("could not look whether a watcher is still signed in: %s", error)
                continue
            if not may_view(user):
                await self.close(SIGNED_OUT)
                return

    async def _guarded(self) -> None:
        try:
            await self.live()
        except Exception:
            logger.exception("a live channel broke")
            await self.close(BROKEN)

    async def live(self) -> None:
        raise NotImplementedError


class RunConsumer(LiveConsumer):
    """Every event of a run after number `since`, exactly once, in order: replayed, then live.

    The numbers have no gaps, so a message that was lost on the way shows, and is read from the database.
    """

    async def live(self) -> None:
        job_id = int(self.scope["url_route"]["kwargs"]["pk"])
        self._seq = _since(self.scope["query_string"])
        if await database_sync_to_async(event_seq)(job_id) is None:
            await self.send_json({"type": "gone"})
            await self.close(UNKNOWN)
            return
        async with hub.subscribe(job_group(job_id)) as subscription:
            await self._replay(job_id)
            await self.send_json({"type": "live"})
            while True:
                await self._next(job_id, subscription)

    async def _next(self, job_id: int, subscription: Subscription) -> None:
        message = await subscription.get(CHECK_SECONDS)
        fresh = [event for event in (message or {}).get("events", ()) if event["seq"] > self._seq]
        if message is None or (fresh and fresh[0]["seq"] != self._seq + 1):
            await self._replay(job_id)
        elif fresh:
            await self._send_events(fresh, shared=message)

    async def _replay(self, job_id: int) -> None:
        while events := await database_sync_to_async(events_after)(job_id, self._seq, REPLAY_BATCH):
            await self._send_events(events)

    async def _send_events(self, events: list[dict[str, Any]], shared: dict[str, Any] | None = None) -> None:
        """`shared` is the message that all watchers of the run have received: its text is made once for all of them."""
        if shared is not None and len(events) == len(shared["events"]):
            if "text" not in shared:
                shared["text"] = json.dumps({"type": "events", "events": events})
            await self.send(text_data=shared["text"])
        else:
            await self.send_json({"type": "events", "events": events})
        DELIVERED.inc(len(events))
        self._seq = events[-1]["seq"]


def _since(query: bytes) -> int:
    value = parse_qs(query.decode("latin-1")).get("since", ["0"])[0]
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else 0


class RunsConsumer(LiveConsumer):
    """Rendered rows of runs that changed, at most once in ROW_SECONDS, and never the same row twice in a row.

    Messages may be lost, so on connecting and after each silence the unfinished runs are looked at anyway.
    """

    async def live(self) -> None:
        self._sent: dict[int, str] = {}
        async with hub.subscribe(JOBS_GROUP) as subscription:
            await self._send_rows(await database_sync_to_async(unsettled_jobs)())
            while True:
                await self._send_rows(await self._changed(subscription))

    async def _changed(self, subscription: Subscription) -> set[int]:
        message = await subscription.get(CHECK_SECONDS)
        if message is None:
            return await database_sync_to_async(unsettled_jobs)()
        changed = {message["job"]}
        await asyncio.sleep(ROW_SECONDS)
        while (message := await subscription.get(0.001)) is not None:
            changed.add(message["job"])
        return changed

    async def _send_rows(self, job_ids: set[int]) -> None:
        for job_id, html in (await database_sync_to_async(rows_html)(job_ids)).items():
            if html != self._sent.get(job_id):
                self._sent[job_id] = html
                await self.send_json({"type": "row", "id": job_id, "html": html})
