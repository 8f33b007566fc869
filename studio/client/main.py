"""`simstudio`: a command line over the REST API.

Exit codes: 1 refused, or the run failed; 2 wrong usage; 3 the studio is not reached, or does not know the token.
"""

from __future__ import annotations

import errno
from typing import Any

import click

from studio.client.commands.account import login, logout
from studio.client.commands.catalog import datasets, presets, teachers
from studio.client.commands.launching import actions, clone, create, edit
from studio.client.commands.output import NoAccess, Refusal, shown
from studio.client.commands.pool import queue, workers
from studio.client.commands.runs import runs
from studio.client.commands.students import download
from studio.client.commands.studies import studies
from studio.client.credentials import NotSignedIn
from studio.client.download import DownloadFailed
from studio.client.http import ApiError, Unreachable


class Commands(click.Group):
    """Turns what the client raises into one message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ApiError as error:
            raise (NoAccess if error.status == 401 else Refusal)(shown(error)) from None
        except (Unreachable, NotSignedIn) as error:
            raise NoAccess(shown(error)) from None
        except DownloadFailed as error:
            raise Refusal(str(error)) from None
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader has gone: nothing to say to anybody
                raise
            raise Refusal(str(error)) from None


@click.group(cls=Commands)
def main() -> None:
    """SIM Studio from the command line. Begin with: simstudio login"""


for command in (create, clone, edit, *actions, download):
    runs.add_command(command)
for command in (login, logout, presets, teachers, datasets, runs, studies, workers, queue):
    main.add_command(command)
