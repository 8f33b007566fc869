"""Fan out one channel-layer subscription a group to all sockets of this process.

A subscription for each socket loses half the messages at 200 watchers. Each socket has a bounded queue; one that
falls behind misses messages, sees it by their numbers, and replays from the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

from studio.jobs.publisher import channel_layer

logger = logging.getLogger(__name__)

QUEUE_SIZE = 256
Message = dict[str, Any]


class Subscription:
    """One socket's bounded queue."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Message] = asyncio.Queue(QUEUE_SIZE)

    def offer(self, message: Message) -> None:
        """Add a message, or drop it where the socket is too slow: it finds the gap by the numbers."""
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(message)

    async def get(self, timeout: float) -> Message | None:
        """The next message; None after `timeout` seconds of silence."""
        try:
            return await asyncio.wait_for(self._queue.get(), timeout)
        except TimeoutError:
            return None


class Hub:
    """The subscriptions of one event loop, by group."""

    def __init__(self) -> None:
        self._sockets: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._pumps: dict[str, asyncio.Task[None]] = {}

    @contextlib.asynccontextmanager
    async def subscribe(self, group: str) -> AsyncIterator[Subscription]:
        """Receive the group's messages from the moment this returns until the block ends."""
        subscription = Subscription()
        self._sockets[group].add(subscription)
        if group not in self._pumps:
            ready = asyncio.Event()
            self._pumps[group] = asyncio.create_task(self._pump(group, ready))
            with contextlib.suppress(TimeoutError):  # without Redis, watchers still replay from the database
                await asyncio.wait_for(ready.wait(), 5)
        try:
            yield subscription
        finally:
            self._sockets[group].discard(subscription)
            if not self._sockets[group]:
                del self._sockets[group]
                self._pumps.pop(group).cancel()

    async def _pump(self, group: str, ready: asyncio.Event) -> None:
        while True:
            try:
                await self._forward(group, ready)
            except OSError as error:
                logger.warning("the subscription to %s broke: %s", group, error)
            except Exception:
                logger.exception("the subscription to %s broke", group)
            await asyncio.sleep(1)

    async def _forward(self, group: str, ready: asyncio.Event) -> None:
        layer = channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(group, channel)
        ready.set()
        try:
            while True:
                message = await layer.receive(channel)
                for subscription in tuple(self._sockets[group]):
                    subscription.offer(message)
        finally:
            await layer.group_discard(group, channel)


hub = Hub()
