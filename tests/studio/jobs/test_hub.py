from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from studio.jobs.hub import QUEUE_SIZE, Hub, Subscription
from studio.jobs.publisher import channel_layer
from tests.studio.watching import eventually


@pytest.fixture
async def hub(redis_server: None) -> AsyncIterator[Hub]:
    yield Hub()
    await channel_layer().flush()


async def send(group: str, text: str) -> None:
    await channel_layer().group_send(group, {"type": "events", "text": text})


def subscriptions(group: str) -> int:
    """How many of this process's channels the layer serves for a group."""
    layer = channel_layer()._get_layer()  # type: ignore[attr-defined]
    return len(layer.groups.get(layer._get_group_channel_name(group), ()))


async def listeners(group: str) -> int:
    """How many connections Redis itself serves for a group."""
    from django.conf import settings

    async with redis.asyncio.Redis.from_url(settings.ENVIRONMENT.redis_address(2)) as client:
        ((_, count),) = await client.pubsub_numsub(f"simstudio__group__{group}")
        return int(count)


async def test_many_sockets_of_a_group_share_one_subscription(hub: Hub) -> None:
    async with contextlib.AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(hub.subscribe("job.1")) for _ in range(20)]
        assert subscriptions("job.1") == 1
        assert await listeners("job.1") == 1
        await send("job.1", "hello")
        for socket in sockets:
            message = await socket.get(5)
            assert message is not None
            assert message["text"] == "hello"


async def test_the_last_socket_that_leaves_releases_the_subscription(hub: Hub) -> None:
    async with hub.subscribe("job.1"):
        async with hub.subscribe("job.1"):
            pass
        assert await listeners("job.1") == 1
        await send("job.1", "still there")
    await eventually(lambda: subscriptions("job.1") == 0, "the layer forgets the group")

    async def gone() -> bool:
        return await listeners("job.1") == 0

    await eventually(gone, "Redis forgets the group")
    assert not hub._groups


async def test_a_group_can_be_watched_again_after_everybody_left(hub: Hub) -> None:
    for round_ in ("first", "second"):
        async with hub.subscribe("job.1") as socket:
            await send("job.1", round_)
            message = await socket.get(5)
            assert message is not None
            assert message["text"] == round_


async def test_groups_do_not_hear_each_other(hub: Hub) -> None:
    async with hub.subscribe("job.1") as one, hub.subscribe("job.2") as two:
        await send("job.2", "for two")
        assert (await two.get(5) or {})["text"] == "for two"
        assert await one.get(0.05) is None


async def test_who_comes_second_can_hear_as_soon_as_who_came_first(hub: Hub) -> None:
    """Both subscribe at once; a message sent after either has returned reaches both."""

    async def listen(name: str) -> bool:
        async with hub.subscribe("job.1") as socket:
            await send("job.1", name)
            heard = [(await socket.get(5) or {})["text"]]
            while heard[-1] != name:
                heard.append((await socket.get(5) or {})["text"])
            return True

    assert await asyncio.gather(*(listen(str(number)) for number in range(5))) == [True] * 5


async def test_a_socket_that_leaves_while_subscribing_leaves_nothing_behind(hub: Hub) -> None:
    async def listen() -> None:
        async with hub.subscribe("job.1"):
            await asyncio.Event().wait()

    leaving = asyncio.create_task(listen())
    await eventually(lambda: hub._groups, "it has begun to subscribe")
    leaving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await leaving
    assert not hub._groups


async def test_a_full_queue_drops_the_newest_and_never_waits() -> None:
    subscription = Subscription()
    for number in range(QUEUE_SIZE + 10):
        subscription.offer({"number": number})
    seen = [(await subscription.get(1) or {})["number"] for _ in range(QUEUE_SIZE)]
    assert seen == list(range(QUEUE_SIZE))
    assert await subscription.get(0.01) is None
