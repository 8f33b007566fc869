"""`--follow`: live progress in a terminal, lines elsewhere, JSON lines for scripts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from types import TracebackType
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from studio.client.api import Client
from studio.client.commands.output import Refusal, figure, say, say_json, shown
from studio.client.follow import News

SECONDS_BETWEEN_LINES = 15


def follow_run(client: Client, run_id: int, *, as_json: bool, seconds: float = 2) -> None:
    """Until the run has ended. Raises Refusal, with the reason, where it did not succeed."""
    view: Any = _JsonLines() if as_json else _Bar() if Console().is_terminal else _Lines()
    run: dict[str, Any] = {}
    try:
        with view:
            for news in client.follow(run_id, seconds=seconds):
                view.tell(news)
                run = news.run
    except KeyboardInterrupt:
        click.echo(f"The run goes on. To follow it again: simstudio runs follow {run_id}", err=True)
        raise
    if run["state"] != "succeeded":
        raise Refusal(f"run {run_id} {'has failed' if run['state'] == 'failed' else 'was cancelled'}{_reason(run)}")
    if not as_json:
        measured = f": {run['headline']} {figure(run['student_figure'])}" if run["student_figure"] is not None else ""
        teacher = f" (teacher {figure(run['teacher_figure'])})" if measured and run["teacher_figure"] else ""
        say(f"Run {run_id} ({run['name']}) has succeeded{measured}{teacher}")


def _reason(run: dict[str, Any]) -> str:
    return f": {shown(run['reason'])}" if run["reason"] else ""


class _View:
    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class _JsonLines(_View):
    def tell(self, news: News) -> None:
        say_json(asdict(news))


class _Lines(_View):
    """A line whenever the state changes, and now and then in between."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._told_at, self._state = clock, -float("inf"), ""

    def tell(self, news: News) -> None:
        state = f"{news.run['state']}{_reason(news.run)}"
        now = self._clock()
        if state == self._state and now < self._told_at + SECONDS_BETWEEN_LINES:
            return
        self._told_at, self._state = now, state
        say(f"{state}, step {news.run['step']:,} of {news.run['total_steps']:,}{_losses(news)}")


class _Bar(_View):
    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[losses]}", markup=False),
            TimeElapsedColumn(),
        )
        self._progress = Progress(*columns)
        self._task = self._progress.add_task("", total=1, losses="")

    def __enter__(self) -> None:
        self._progress.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def tell(self, news: News) -> None:
        run = news.run
        state = f"{run['state']}{_reason(run)}"
        self._progress.update(self._task, completed=run["step"], total=run["total_steps"], description=state)
        if news.series:
            self._progress.update(self._task, losses=_losses(news).removeprefix(", "))


def _losses(news: News) -> str:
    return "".join(f", {name.replace('_', ' ')} {figure(columns['last'])}" for name, columns in news.series.items())
