"""Gives a command its client."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from studio.client.api import Client
from studio.client.credentials import find_credentials


def pass_client(command: Callable[..., None]) -> Callable[..., None]:
    """The command's first argument becomes the client. Made only when it runs, so that --help needs no token."""

    @wraps(command)
    def with_client(*given: Any, **options: Any) -> None:
        credentials = find_credentials()
        command(client_for(credentials.url, credentials.token), *given, **options)

    return with_client


def client_for(url: str, token: str) -> Client:
    """Raises UsageError where the address or the token cannot be one."""
    try:
        return Client(url, token)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
