"""`simstudio studies …`."""

from __future__ import annotations

from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import click

from studio.client.api import Client
from studio.client.commands.output import Columns, facts_out, json_option, rows_out, say, say_json, when
from studio.client.commands.signed_in import pass_client

STATES = ("draft", "generating", "review", "open", "closed")
study_argument = click.argument("study", metavar="STUDY", type=click.IntRange(0))

LIST_COLUMNS: Columns = {
    "study": itemgetter("id"),
    "title": itemgetter("title"),
    "state": itemgetter("state"),
    "arms": lambda study: " against ".join(arm["label"] for arm in study["arms"]),
    "finished": lambda study: f"{study['finished']}/{study['participants_wanted']}",
    "owner": itemgetter("owner"),
    "created": lambda study: when(study["created_at"]),
}


@click.group()
def studies() -> None:
    """Preference studies. STUDY is a study's number."""


@studies.command("list")
@click.option("--search", "q", help="Part of the title.")
@click.option("--state", type=click.Choice(STATES))
@click.option("--owner", help="Username.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many, newest first.")
@json_option
@pass_client
def list_studies(client: Client, limit: int, as_json: bool, **filters: str | None) -> None:
    """The studies, newest first."""
    rows_out(islice(client.studies(**filters), limit), LIST_COLUMNS, as_json=as_json)


@studies.command()
@study_argument
@json_option
@pass_client
def results(client: Client, study: int, as_json: bool) -> None:
    """The tally with its uncertainty, without those who are excluded, and the paragraph on methods."""
    found = client.study_results(study)
    if as_json:
        say_json(found)
        return
    kept, tally = found["kept"], found["kept"]["tally"]
    facts_out(
        {
            "arm": f"{found['arm']['label']} against {found['other']['label']}",
            "state": found["state"],
            "finished": f"{found['finished']} of {found['participants_wanted']}",
            "votes": f"{tally['votes']}: {tally['wins']} to {tally['losses']}, {tally['none']} without preference",
            "share": "" if tally["share"] is None else f"{100 * tally['share']:.1f} %",
            "interval": _interval(kept["headline"]),
            "Wilson": _interval(kept["wilson"]),
            "exact test": kept["test"]["why"] or f"p = {kept['test']['p']:.3g}",
            "agreement": kept["agreement"]["why"] or f"{kept['agreement']['alpha']:.2f}",
        }
    )
    if found["peeking"]:
        say("\nThe study is open: to stop now because it looks good would inflate significance.")
    say(f"\n{found['methods']}")


@studies.command()
@study_argument
@click.option("--format", "kind", type=click.Choice(("csv", "json")), default="csv", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Left out: study-NUMBER-votes.FORMAT.")
@json_option
@pass_client
def export(client: Client, study: int, kind: str, out: Path | None, as_json: bool) -> None:
    """Fetch the votes, one row each; the JSON explains its columns."""
    target = client.study_export(study, out or Path(f"study-{study}-votes.{kind}"), kind=kind)
    facts = {"study": study, "path": str(target), "size": target.stat().st_size}
    say_json(facts) if as_json else say(f"{target}: {facts['size']:,} bytes")


def _interval(figure: dict[str, Any]) -> str:
    return figure["why"] or f"{100 * figure['low']:.1f}–{100 * figure['high']:.1f} %"
