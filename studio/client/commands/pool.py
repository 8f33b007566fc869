"""`simstudio workers` and `queue`."""

from __future__ import annotations

from typing import Any

import click

from studio.client.api import Client
from studio.client.commands.output import columns_of, json_option, rows_out, when
from studio.client.commands.signed_in import pass_client


def _devices(worker: dict[str, Any]) -> str:
    return ", ".join(f"{device['name']} ({device['memory'] / 2**30:.0f} GiB)" for device in worker["devices"])


@click.command()
@json_option
@pass_client
def workers(client: Client, as_json: bool) -> None:
    """The workers, their devices and what they do."""
    columns = columns_of("id", "name", "state", "queues") | {
        "devices": _devices,
        "jobs": lambda worker: [job["name"] or f"{job['kind']} {job['id']}" for job in worker["jobs"]],
        "heard": lambda worker: when(worker["heartbeat_at"]),
    }
    rows_out(client.workers(), columns, as_json=as_json)


@click.command()
@json_option
@pass_client
def queue(client: Client, as_json: bool) -> None:
    """What waits, in order, and why."""
    columns = columns_of("id", "name", "kind", "owner", "priority") | {
        "queued": lambda job: when(job["queued_at"]),
        **columns_of("reason"),
    }
    rows_out(client.queue(), columns, as_json=as_json)
