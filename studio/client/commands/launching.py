"""`simstudio runs create`, `clone`, `edit`, and the actions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from studio.client.api import Client
from studio.client.commands.following import follow_run
from studio.client.commands.output import Refusal, json_option, say, say_json
from studio.client.commands.runs import find_run, run_argument
from studio.client.commands.signed_in import pass_client
from studio.client.http import ApiError

ACTIONS = {
    "pause": "Pause after the step it is at, with a checkpoint.",
    "resume": "Let a paused run go on.",
    "checkpoint": "Save a checkpoint now.",
    "cancel": "End a run; what it has recorded stays.",
    "retry": "Queue a failed or cancelled run again, from its last checkpoint.",
}
SETTING_HELP = "As in objective.distance=l1; repeatable."


def _launching(command: Callable[..., None]) -> Callable[..., None]:
    """The options that launches share."""
    options = (
        click.option("--name", default="", help="Left out: a default."),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help=SETTING_HELP),
        click.option("--tag", "tags", multiple=True, help="Repeatable."),
        click.option("--follow", "followed", is_flag=True, help="Stay until it has ended."),
        json_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.option("--preset", required=True, help="Where the settings start: see “simstudio presets”.")
@_launching
@pass_client
def create(client: Client, preset: str, name: str, settings: tuple[str, ...], **how: Any) -> None:
    """Launch a run from a preset with some settings changed."""
    _launched(client, client.run_create(preset, name=name, settings=dict(map(_setting, settings))), **how)


@click.command()
@run_argument
@_launching
@pass_client
def clone(client: Client, run: str, name: str, settings: tuple[str, ...], **how: Any) -> None:
    """Launch a run with another one's settings, some of them changed."""
    changes = dict(map(_setting, settings))
    _launched(client, client.run_clone(find_run(client, run)["id"], name=name, settings=changes), **how)


def _launched(client: Client, run: dict[str, Any], tags: tuple[str, ...], followed: bool, as_json: bool) -> None:
    if tags:
        try:
            run = client.run_change(run["id"], tags=list(tags))
        except ApiError as error:
            raise Refusal(f"run {run['id']} is launched, but without its tags: {error}") from None
    if not as_json:
        say(f"Run {run['id']} ({run['name']}) is {run['state']}")
    elif not followed:
        say_json(run)
    if followed:
        follow_run(client, run["id"], as_json=as_json)


def _setting(given: str) -> tuple[str, Any]:
    """A value is JSON where it can be read so, else a text."""
    path, equals, text = given.partition("=")
    if not path or not equals:
        raise click.BadParameter(f"“{given}”; right would be objective.distance=l1", param_hint="--set")
    try:
        return path, json.loads(text)
    except ValueError:
        return path, text


@click.command()
@run_argument
@click.option("--name")
@click.option("--tag", "tags", multiple=True, help="Repeatable; these replace the tags there are.")
@click.option("--notes")
@click.option("--priority", type=int, help="Higher goes first; owners can lower it.")
@click.option("--archive/--unarchive", "archived", default=None, help="Put it away, or bring it back.")
@json_option
@pass_client
def edit(client: Client, run: str, as_json: bool, tags: tuple[str, ...], **changes: Any) -> None:
    """Change a run's name, tags, notes or priority, or put it away."""
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    if tags:
        given["tags"] = list(tags)
    if not given:
        raise click.UsageError("nothing to change: see --help")
    found = client.run_change(find_run(client, run)["id"], **given)
    if as_json:
        say_json(found)
    else:
        say(f"Run {found['id']} ({found['name']}): {', '.join(given)} changed")


def _action(action: str, words: str) -> click.Command:
    @click.command(action, help=words)
    @run_argument
    @json_option
    @pass_client
    def act(client: Client, run: str, as_json: bool) -> None:
        found = client.run_act(find_run(client, run)["id"], action)
        if as_json:
            say_json(found)
        else:
            say(f"Run {found['id']} ({found['name']}): {found['state']}{', ' * bool(found['reason'])}{found['reason']}")

    return act


actions = [_action(action, words) for action, words in ACTIONS.items()]
