"""`simstudio presets`, `teachers …` and `datasets …`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from studio.client.api import Client
from studio.client.commands.output import Refusal, columns_of, json_option, rows_out, say, say_json, shown
from studio.client.commands.signed_in import pass_client
from studio.client.commands.transfer import transfer_shown


@click.command()
@json_option
@pass_client
def presets(client: Client, as_json: bool) -> None:
    """Where a run's settings can start."""
    rows_out(client.presets(), columns_of("name", "title", "description"), as_json=as_json)


@click.group()
def teachers() -> None:
    """What runs distil."""


@click.group()
def datasets() -> None:
    """What teachers are trained on and students measured against."""


@teachers.command("list")
@click.option("--search", "q", help="Part of the title or of the reference.")
@json_option
@pass_client
def list_teachers(client: Client, q: str | None, as_json: bool) -> None:
    """The teachers, by title."""
    rows_out(client.teachers(q=q), columns_of("reference", "title", "description"), as_json=as_json)


@datasets.command("list")
@click.option("--search", "q", help="Part of the title or of the reference.")
@json_option
@pass_client
def list_datasets(client: Client, q: str | None, as_json: bool) -> None:
    """The data sets, by title."""
    rows_out(client.datasets(q=q), columns_of("reference", "title"), as_json=as_json)


@teachers.command("import")
@click.argument("file")
@click.option("--title", default="", help="Left out: the file's name.")
@click.option("--licence", default="", help="Of the weights.")
@click.option("--source", default="", help="Where the file comes from.")
@click.option("--dataset", type=click.IntRange(0), help="Number of the data set that it was trained on.")
@click.option(
    "--network", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="For weights alone (.safetensors, .pt): a JSON file with the network's configuration.",
)  # fmt: skip
@click.option("--on-server", is_flag=True, help="FILE lies in the studio's import folder: nothing is sent.")
@json_option
@pass_client
def import_teacher(
    client: Client, file: str, on_server: bool, network: Path | None, as_json: bool, **facts: Any
) -> None:
    """Send an EDM checkpoint or weights, and wait for the verdict."""
    _import(client, file, on_server, as_json, {**facts, "network": _json_of(network) if network else None})


@datasets.command("import")
@click.argument("file")
@click.option("--title", default="", help="Left out: the file's name.")
@click.option("--licence", default="", help="Of the images.")
@click.option("--source", default="", help="Where the file comes from.")
@click.option("--on-server", is_flag=True, help="FILE lies in the studio's import folder: nothing is sent.")
@json_option
@pass_client
def import_dataset(client: Client, file: str, on_server: bool, as_json: bool, **facts: Any) -> None:
    """Send an image archive or CIFAR-10's, and wait for the verdict."""
    _import(client, file, on_server, as_json, facts)


def _import(client: Client, file: str, on_server: bool, as_json: bool, facts: dict[str, Any]) -> None:
    facts = {name: value for name, value in facts.items() if value not in ("", None)}
    where = {"path": file} if on_server else {"upload": _send(client, Path(file), as_json)}
    begun = client.import_create(**where, **facts)
    found = client.import_wait(begun["id"])
    if as_json:
        say_json(found)
    if found["entry"] is None:
        raise Refusal(f"import {found['id']}: {shown(found['verdict'] or found['state'])}")
    if not as_json:
        say(f"{found['verdict']} As a run's setting: {found['entry']['reference']}")


def _send(client: Client, file: Path, quiet: bool) -> str:
    if not file.is_file():
        raise click.UsageError(f"there is no file {file}")
    with transfer_shown(file.name, file.stat().st_size, quiet=quiet) as tell:
        return str(client.upload(file, tell=tell)["id"])


def _json_of(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{file} holds no JSON: {error}") from None
    if not isinstance(found, dict):
        raise click.UsageError(f"{file} holds no JSON object")
    return found
