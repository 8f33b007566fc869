"""What the commands print: tables and lines for people, or JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

json_option = click.option(
    "--json", "as_json", is_flag=True, help="JSON on standard output, and nothing else there."
)  # fmt: skip


class Refusal(click.ClickException):
    """Ends the command with the message on standard error and exit code 1."""

    def show(self, file: Any = None) -> None:
        click.echo(f"error: {self.message}", err=True)


class NoAccess(Refusal):
    """Not reached, or not signed in: exit code 3."""

    exit_code = 3


def say(text: str) -> None:
    """One line for people."""
    click.echo(shown(text))


def say_json(document: Any) -> None:
    """One document in one line, at once."""
    click.echo(json.dumps(document, ensure_ascii=False))


def shown(value: Any) -> str:
    """Somebody's text without what would command the terminal."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "�" for letter in str(value))


Columns = dict[str, Callable[[Any], Any]]  # name → what to show of a row


def columns_of(*names: str) -> Columns:
    """Columns that are fields of the document."""
    return {name: itemgetter(name) for name in names}


def rows_out(documents: Iterable[dict[str, Any]], columns: Columns, *, as_json: bool) -> None:
    """JSON: a list. In a terminal: a table. Elsewhere: lines of cells with tabs between, the first with their names."""
    if as_json:
        say_json(list(documents))
        return
    rows = [[_cell(read(document)) for read in columns.values()] for document in documents]
    if not Console().is_terminal:
        for row in [list(columns), *rows]:
            click.echo("\t".join(row))
        return
    _table(list(columns), rows)


def facts_out(facts: dict[str, Any]) -> None:
    """Names and values, one a line; what is empty is left out."""
    width = max(map(len, facts))
    for name, value in facts.items():
        if value not in ("", None, []):
            say(f"{name:<{width}}  {_cell(value)}")


def when(moment: str | None) -> str:
    """As in 2026-11-23 09:51, in local time."""
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}" if moment else ""


def figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _cell(value: Any) -> str:
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return "" if value is None else shown(value).replace("\n", " ").replace("\t", " ")


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name)
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
