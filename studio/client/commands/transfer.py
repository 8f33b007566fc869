"""A bar for bytes on their way, on standard error where that is a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from studio.client.download import Tell


@contextmanager
def transfer_shown(name: str, size: int, *, quiet: bool) -> Iterator[Tell]:
    """Gives the function that is told how many of the `size` bytes are there."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=quiet or not console.is_terminal
    ) as progress:
        task = progress.add_task(name, total=size)
        yield lambda here: progress.update(task, completed=here)
