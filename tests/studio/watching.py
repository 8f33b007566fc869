"""Sockets of people who watch, on the studio's real application and channel layer."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from django.test import Client

from studio.asgi import application
from studio.jobs.hub import hub
from studio.jobs.publisher import channel_layer

ORIGIN = "http://localhost"


def session_of(user: Any) -> str:
    """The cookie of somebody who has signed in."""
    client = Client()
    client.force_login(user)
    return f"sessionid={client.cookies['sessionid'].value}"


class Socket(ApplicationCommunicator):
    """A browser's end of a WebSocket. (Channels' own needs a second web server, daphne, installed.)"""

    def __init__(self, address: str, headers: list[tuple[bytes, bytes]]) -> None:
        path, _, query = address.partition("?")
        scope = {"type": "websocket", "path": path, "query_string": query.encode(), "headers": headers}
        super().__init__(application, scope | {"subprotocols": []})

    async def connect(self) -> bool:
        """Whether the server accepts."""
        await self.send_input({"type": "websocket.connect"})
        return bool((await self.receive_output(5))["type"] == "websocket.accept")

    async def receive_json(self) -> Any:
        message = await self.receive_output(5)
        assert message["type"] == "websocket.send", message
        return json.loads(message["text"])

    async def disconnect(self) -> None:
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(5)


def socket(address: str, cookie: str = "", origin: str = ORIGIN) -> Socket:
    headers = [(b"origin", origin.encode())] if origin else []
    return Socket(address, [*headers, (b"cookie", cookie.encode())])


@contextlib.asynccontextmanager
async def watching(address: str, cookie: str) -> AsyncIterator[Socket]:
    """A socket that is open while the block runs; afterwards nothing of it is left."""
    watcher = socket(address, cookie)
    assert await watcher.connect()
    try:
        yield watcher
    finally:
        await watcher.disconnect()
        if not hub._groups:
            await channel_layer().flush()


async def close_code(watcher: Socket) -> int:
    """The code with which the server closes, after whatever it says before."""
    while (message := await watcher.receive_output(timeout=5))["type"] != "websocket.close":
        assert message["type"] == "websocket.send"
    return int(message["code"])


async def until_live(watcher: Socket) -> list[dict[str, Any]]:
    """The events replayed before the socket goes live."""
    events: list[dict[str, Any]] = []
    while (message := await watcher.receive_json())["type"] != "live":
        assert message["type"] == "events"
        events += message["events"]
    return events


async def next_events(watcher: Socket, count: int) -> list[dict[str, Any]]:
    """The next `count` events, or more where they arrive together."""
    events: list[dict[str, Any]] = []
    while len(events) < count:
        message = await watcher.receive_json()
        assert message["type"] == "events"
        events += message["events"]
    return events


async def eventually(condition: Callable[[], Awaitable[Any] | Any], what: str, seconds: float = 5) -> None:
    """Wait until a condition holds."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (await result if isinstance(result := condition(), Awaitable) else result):
        assert asyncio.get_running_loop().time() < deadline, f"after {seconds} s: {what}"
        await asyncio.sleep(0.01)


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [event["seq"] for event in events]


in_database = database_sync_to_async
