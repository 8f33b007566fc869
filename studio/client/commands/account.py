"""`simstudio login` and `logout`."""

from __future__ import annotations

import sys

import click

from studio.client.commands.output import json_option, say, say_json
from studio.client.commands.signed_in import client_for
from studio.client.credentials import (
    DEFAULT_URL,
    Credentials,
    credentials_forget,
    credentials_path,
    credentials_save,
)


@click.command()
@click.option("--url", envvar="SIMSTUDIO_URL", show_envvar=True, help="As in http://127.0.0.1:8000.")
@click.option("--token", envvar="SIMSTUDIO_TOKEN", show_envvar=True, help="Made on the page API. Left out: asked for.")
@json_option
def login(url: str | None, token: str | None, as_json: bool) -> None:
    """Keep a studio's address and a token for later commands."""
    if not (url and token) and not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here: give --url and --token, or SIMSTUDIO_URL and SIMSTUDIO_TOKEN")
    url = url or click.prompt("Address of the studio", default=DEFAULT_URL, err=True)
    token = token or click.prompt("Token, from its page API", hide_input=True, err=True)
    client = client_for(url, token.strip())
    me = client.me()
    path = credentials_save(Credentials(client.http.url, token.strip()))
    if as_json:
        say_json({"url": client.http.url, "username": me["username"], "role": me["role"]})
    else:
        say(f"Signed in to {client.http.url} as {me['username']} ({me['role']}). Kept in {path}")


@click.command()
@json_option
def logout(as_json: bool) -> None:
    """Forget them. The token itself goes on until it is revoked on the page API."""
    there = credentials_forget()
    if as_json:
        say_json({"forgotten": there})
    else:
        say(f"{credentials_path()} is removed" if there else "There was nothing to forget")
