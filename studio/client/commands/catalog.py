"""`simstudio presets` and `simstudio teachers …`."""

from __future__ import annotations

import click

from studio.client.api import Client
from studio.client.commands.output import columns_of, json_option, rows_out
from studio.client.commands.signed_in import pass_client


@click.command()
@json_option
@pass_client
def presets(client: Client, as_json: bool) -> None:
    """Where a run's settings can start."""
    rows_out(client.presets(), columns_of("name", "title", "description"), as_json=as_json)


@click.group()
def teachers() -> None:
    """What runs distil."""


@teachers.command("list")
@click.option("--search", "q", help="Part of the title or of the reference.")
@json_option
@pass_client
def list_teachers(client: Client, q: str | None, as_json: bool) -> None:
    """The teachers, by title."""
    rows_out(client.teachers(q=q), columns_of("reference", "title", "description"), as_json=as_json)
