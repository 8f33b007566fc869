"""`simstudio runs …`."""

from __future__ import annotations

import json
import time
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import click

from studio.client.api import Client
from studio.client.commands.following import follow_run
from studio.client.commands.output import (
    Columns,
    Refusal,
    columns_of,
    facts_out,
    figure,
    json_option,
    rows_out,
    say,
    say_json,
    shown,
    when,
)
from studio.client.commands.signed_in import pass_client
from studio.client.commands.transfer import transfer_shown
from studio.client.follow import ENDED, new_lines

STATES = ("queued", "starting", "running", "pausing", "paused", "succeeded", "failed", "cancelled")
ACTIONS = {
    "pause": "Pause after the step it is at, with a checkpoint.",
    "resume": "Let a paused run go on.",
    "checkpoint": "Save a checkpoint now.",
    "cancel": "End a run; what it has recorded stays.",
    "retry": "Queue a failed or cancelled run again, from its last checkpoint.",
}
run_argument = click.argument("run", metavar="RUN")


def _student_figure(run: dict[str, Any]) -> str:
    return "" if run["student_figure"] is None else f"{run['headline']} {figure(run['student_figure'])}"


LIST_COLUMNS: Columns = {
    "run": itemgetter("id"),
    **columns_of("name", "state"),
    "step": lambda run: f"{run['step']}/{run['total_steps']}",
    "figure": _student_figure,
    **columns_of("owner"),
    "created": lambda run: when(run["created"]),
}


@click.group()
def runs() -> None:
    """Distillation runs. RUN is a run's number, or its name where only one is called so."""


@runs.command()
@click.option("--preset", required=True, help="Where the settings start: see “simstudio presets”.")
@click.option("--name", default="", help="Left out: the preset's name and the run's number.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="As in objective.distance=l1; repeatable.")
@click.option("--follow", "followed", is_flag=True, help="Stay until it has ended.")
@json_option
@pass_client
def create(client: Client, preset: str, name: str, settings: tuple[str, ...], followed: bool, as_json: bool) -> None:
    """Launch a run from a preset with some settings changed."""
    run = client.run_create(preset, name=name, settings=dict(map(_setting, settings)))
    if not followed and as_json:
        say_json(run)
    elif not as_json:
        say(f"Run {run['id']} ({run['name']}) is {run['state']}")
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


@runs.command("list")
@click.option("--search", "q", help="Part of the name or of the teacher's title.")
@click.option("--state", type=click.Choice(STATES))
@click.option("--owner", help="Username.")
@click.option("--teacher", help="The teacher's reference.")
@click.option("--preset")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many, newest first.")
@json_option
@pass_client
def list_runs(client: Client, limit: int, as_json: bool, **filters: str | None) -> None:
    """The runs, newest first."""
    rows_out(islice(client.runs(**filters), limit), LIST_COLUMNS, as_json=as_json)


@runs.command()
@run_argument
@json_option
@pass_client
def show(client: Client, run: str, as_json: bool) -> None:
    """One run and its settings."""
    found = find_run(client, run)
    if as_json:
        say_json(found)
        return
    facts_out(
        {"run": found["id"]}
        | {name: found[name] for name in ("name", "state", "reason", "owner", "tags", "preset", "teacher")}
        | {"step": f"{found['step']} of {found['total_steps']}", "attempt": found["attempt"]}
        | {"worker": found["worker"], "device": found["device"], "figure": _student_figure(found)}
        | {name: when(found[name]) for name in ("created", "started", "finished")}
    )
    say("")
    facts_out(found["settings"])


@runs.command()
@run_argument
@json_option
@pass_client
def follow(client: Client, run: str, as_json: bool) -> None:
    """Watch a run until it has ended. Exit code 1 where it does not succeed."""
    follow_run(client, find_run(client, run)["id"], as_json=as_json)


@runs.command()
@run_argument
@click.option("--follow", "followed", is_flag=True, help="Stay until the run has ended.")
@json_option
@pass_client
def logs(client: Client, run: str, followed: bool, as_json: bool) -> None:
    """A run's log. With --follow and --json: a JSON text for each line."""
    run_id, seen = find_run(client, run)["id"], list[str]()
    if as_json and not followed:
        say_json({"run": run_id, "lines": client.log(run_id).splitlines()})
        return
    ended = not followed
    while True:
        now = client.log(run_id).splitlines()
        for line in new_lines(seen, now):
            say_json(line) if as_json else click.echo(shown(line))
        seen = now
        if ended:
            return
        ended = client.run(run_id)["state"] in ENDED  # and then once more, for the last lines
        time.sleep(0 if ended else 2)


@runs.command()
@run_argument
@json_option
@pass_client
def evaluations(client: Client, run: str, as_json: bool) -> None:
    """The figures measured during a run: Fréchet distance and the like."""
    found = client.evaluations(find_run(client, run)["id"])
    names = sorted({name for row in found for name in row["values"]})
    columns: dict[str, Any] = {"step": lambda row: row["step"], "source": lambda row: row["source"]}
    columns |= {name: lambda row, name=name: figure(row["values"].get(name)) for name in names}
    rows_out(found, columns | {"samples": lambda row: row["samples"]}, as_json=as_json)


@runs.command()
@run_argument
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Left out: run-NUMBER-step-STEP.safetensors."
)
@click.option("--best", is_flag=True, help="The kept checkpoint with the best figure, not the newest.")
@click.option("--step", type=click.IntRange(0), help="The checkpoint of this step, not the newest.")
@json_option
@pass_client
def download(client: Client, run: str, out: Path | None, best: bool, step: int | None, as_json: bool) -> None:
    """Fetch a student: one of the run's checkpoints. A download that broke off goes on where it stopped."""
    if best and step is not None:
        raise click.UsageError("--best and --step exclude each other")
    found = find_run(client, run)
    checkpoint = _chosen(client, found, best, step)
    target = out or Path(f"run-{found['id']}-step-{checkpoint['step']}.safetensors")
    with transfer_shown(target.name, checkpoint["size"], quiet=as_json) as tell:
        client.download(found["id"], checkpoint, target, tell=tell)
    facts = {"run": found["id"], "path": str(target), **{name: checkpoint[name] for name in ("step", "size", "sha256")}}
    say_json(facts) if as_json else say(f"{target}: step {facts['step']}, {facts['size']:,} bytes")


def _chosen(client: Client, run: dict[str, Any], best: bool, step: int | None) -> dict[str, Any]:
    kept = {row["step"]: row for row in client.checkpoints(run["id"])}
    if not kept:
        raise Refusal(f"run {run['id']} has no checkpoint yet")
    if step is not None and step not in kept:
        raise Refusal(f"run {run['id']} has no checkpoint of step {step}; there are: {', '.join(map(str, kept))}")
    if not best:
        return kept[max(kept) if step is None else step]
    rows = client.evaluations(run["id"], source="student")
    measured = {row["step"]: row["values"][run["headline"]] for row in rows if run["headline"] in row["values"]}
    if not (steps := kept.keys() & measured.keys()):
        raise Refusal(f"none of the checkpoints of run {run['id']} has been measured")
    return kept[min(steps, key=lambda step: (measured[step], -step))]  # every headline is a distance: less is better


def _add_action(action: str, words: str) -> None:
    @runs.command(action, help=words)
    @run_argument
    @json_option
    @pass_client
    def act(client: Client, run: str, as_json: bool) -> None:
        found = client.run_act(find_run(client, run)["id"], action)
        if as_json:
            say_json(found)
        else:
            say(f"Run {found['id']} ({found['name']}): {found['state']}{', ' * bool(found['reason'])}{found['reason']}")


for _action, _words in ACTIONS.items():
    _add_action(_action, _words)


def find_run(client: Client, given: str) -> dict[str, Any]:
    """The run of that number, or of that name. Raises Refusal where no, or more than one, run is called so."""
    if given.isascii() and given.isdigit():
        return client.run(int(given))
    called = [run["id"] for run in client.runs(q=given) if run["name"] == given]
    if len(called) == 1:
        return client.run(called[0])
    if called:
        raise Refusal(f"several runs are called “{given}”; name one by its number: {', '.join(map(str, called))}")
    raise Refusal(f"no run is called “{given}”")
