"""Fan out one channel-layer subscription a group to all sockets of this process.

A subscription for each socket loses half the messages at 200 watchers. Each socket has a bounded queue; one that
falls behind misses messages, sees it by their numbers, and replays from the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

from studio.jobs.publisher import channel_layer

logger = logging.getLogger(__name__)

QUEUE_SIZE = 256
READY_SECONDS = 5.0
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


class _Group:
    """A group's sockets in this process, and the one subscription that feeds them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sockets: set[Subscription] = set()
        self.ready = asyncio.Event()
        self.pump = asyncio.create_task(self._pump())

    async def _pump(self) -> None:
        while True:
            try:
                await self._forward()
            except OSError as error:
                logger.warning("the subscription to %s broke: %s", self.name, error)
            except Exception:
                logger.exception("the subscription to %s broke", self.name)
            await asyncio.sleep(1)

    async def _forward(self) -> None:
        layer = channel_layer()
        channel = await layer.new_channel()
        try:
            await layer.group_add(self.name, channel)
            self.ready.set()
            while True:
                message = await layer.receive(channel)
                for subscription in tuple(self.sockets):
                    subscription.offer(message)
        finally:
            await layer.group_discard(self.name, channel)


class Hub:
    """The subscriptions of one event loop, by group."""

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}

    def watchers(self) -> int:
        """How many sockets are open."""
        return sum(len(group.sockets) for group in tuple(self._groups.values()))

    @contextlib.asynccontextmanager
    async def subscribe(self, name: str) -> AsyncIterator[Subscription]:
        """Receive the group's messages from the moment this returns until the block ends."""
        subscription = Subscription()
        if name not in self._groups:
            self._groups[name] = _Group(name)
        group = self._groups[name]
        group.sockets.add(subscription)
        try:
            with contextlib.suppress(TimeoutError):  # without Redis, watchers still replay from the database
                await asyncio.wait_for(group.ready.wait(), READY_SECONDS)
            yield subscription
        finally:
            group.sockets.discard(subscription)
            if not group.sockets:
                del self._groups[name]
                group.pump.cancel()


hub = Hub()
