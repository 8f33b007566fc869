"""`simstudio runs download`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from studio.client.api import Client
from studio.client.commands.output import Refusal, json_option, say, say_json
from studio.client.commands.runs import find_run, run_argument
from studio.client.commands.signed_in import pass_client
from studio.client.commands.transfer import transfer_shown


@click.command()
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
