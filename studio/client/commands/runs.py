"""`simstudio runs …`."""

from __future__ import annotations

import time
from itertools import islice
from operator import itemgetter
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
from studio.client.follow import ENDED, new_lines

STATES = ("queued", "starting", "running", "pausing", "paused", "succeeded", "failed", "cancelled")
SECONDS_BETWEEN_LOOKS = 2
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


@runs.command("list")
@click.option("--search", "q", help="Part of the name or of the teacher's title.")
@click.option("--state", type=click.Choice(STATES))
@click.option("--owner", help="Username.")
@click.option("--teacher", help="The teacher's reference.")
@click.option("--preset")
@click.option("--tag")
@click.option("--archived", type=click.Choice(("all", "no", "only")), default="no", show_default=True)
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
        asked = time.monotonic()
        now = client.log(run_id).splitlines()
        pause = max(SECONDS_BETWEEN_LOOKS, 5 * (time.monotonic() - asked))  # a large log takes its time
        for line in new_lines(seen, now):
            say_json(line) if as_json else click.echo(shown(line))
        seen = now
        if ended:
            return
        ended = client.run(run_id)["state"] in ENDED  # and then once more, for the last lines
        time.sleep(0 if ended else pause)


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
