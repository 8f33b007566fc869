"""Watching a run from a script: asking again, which costs little while nothing has changed (304)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from studio.client.http import ApiError, Document, Http, Unreachable

ENDED = ("succeeded", "failed", "cancelled")
SERIES = ("student_loss", "denoiser_loss")
MOST_POINTS = 5000  # beyond, they come as buckets


@dataclass(frozen=True)
class News:
    """A run as it is now; of each series the points since the last news: step, min, max, mean as parallel lists."""

    run: Document
    series: dict[str, dict[str, Any]] = field(default_factory=dict)


def follow(
    http: Http, run_id: int, *, series: tuple[str, ...] = SERIES, seconds: float = 2, patience: float = 600
) -> Iterator[News]:
    """The run now, then whenever it has changed, until it has ended.

    seconds: between two looks. patience: how long the studio may be away meanwhile, in seconds. Raises ApiError,
    and Unreachable at the first look or once patience is out.
    """
    step, heard, due = -1, None, False
    while True:
        try:
            run, changed = http.poll(f"runs/{run_id}")
            due = due or changed
            if due:
                step = min(step, run["step"])  # an attempt that goes on from a checkpoint measures some steps anew
                news = News(run, _points(http, run, series, step + 1) if run["step"] > step else {})
                step, due = run["step"], False
                yield news
            if run["state"] in ENDED:
                return
            heard = time.monotonic()
        except (Unreachable, ApiError) as error:
            if isinstance(error, ApiError) and error.status < 500 and error.status != 429:
                raise
            if heard is None or time.monotonic() > heard + patience:
                raise
        time.sleep(seconds)


def _points(http: Http, run: Document, series: tuple[str, ...], first: int) -> dict[str, dict[str, Any]]:
    query = {"series": ",".join(series), "width": MOST_POINTS, "from": first, "to": run["step"]}
    found: dict[str, dict[str, Any]] = http.get(f"runs/{run['id']}/metrics", **query)["series"]
    return {name: columns for name, columns in found.items() if columns["step"]}


def new_lines(seen: list[str], now: list[str]) -> list[str]:
    """The lines of a log that were not there before; new ones may stand between old ones."""
    left: dict[str, int] = {}
    for line in seen:
        left[line] = left.get(line, 0) + 1
    fresh = []
    for line in now:
        if left.get(line):
            left[line] -= 1
        else:
            fresh.append(line)
    return fresh
