"""Tell watchers what was stored. Publishing may be lost: whoever watches replays from the database.

One background event loop a process keeps its connections to Redis: a loop for each call would cost 10 ms.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from functools import cache
from typing import Any

from channels.layers import BaseChannelLayer, get_channel_layer

logger = logging.getLogger(__name__)

JOBS_GROUP = "jobs"


def job_group(job_id: int) -> str:
    """Channel layer group of one job."""
    return f"job.{job_id}"


def publish_events(job_id: int, events: list[dict[str, object]]) -> None:
    """Send stored events to the job's watchers."""
    _send(job_group(job_id), {"type": "events", "events": events})


def publish_changed(job_id: int) -> None:
    """Say to watchers of lists that this job looks different now."""
    _send(JOBS_GROUP, {"type": "changed", "job": job_id})


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="publisher", daemon=True).start()
    return loop


def channel_layer() -> BaseChannelLayer:
    """The configured layer: Redis publish and subscribe."""
    layer = get_channel_layer()
    assert layer is not None
    return layer


def _send(group: str, message: dict[str, Any]) -> None:
    sending = channel_layer().group_send(group, message)
    asyncio.run_coroutine_threadsafe(sending, _loop()).add_done_callback(_log_failure)


def _log_failure(future: Future[None]) -> None:
    if (error := future.exception()) is not None:
        logger.warning("could not publish: %s", error)
