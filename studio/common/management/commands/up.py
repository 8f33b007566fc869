"""`manage.py up`: the whole studio on one machine."""

from __future__ import annotations

import fcntl
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from studio.common.programs import PROGRAMS, redis_program
from studio.common.redis_server import wait_for_redis
from studio.common.setup import set_up
from studio.common.supervisor import Program, Supervisor
from studio.environment import Environment, EnvironmentProblem, prepare_data_folder

READY_SECONDS = 60.0


class Command(BaseCommand):
    help = "Start Redis, the web server, the workers and beat; stop them all with Ctrl-C."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        environment: Environment = settings.ENVIRONMENT
        try:
            prepare_data_folder(environment.data)
            (environment.data / "logs").mkdir(exist_ok=True)
            with _only_one(environment), Supervisor() as supervisor:
                self._run(environment, supervisor)
        except EnvironmentProblem as problem:
            raise CommandError(str(problem)) from None

    def _run(self, environment: Environment, supervisor: Supervisor) -> None:
        _check_port(environment)
        if not environment.redis_url:
            redis = redis_program(environment)
            supervisor.start(redis)
            wait_for_redis(environment, redis.log, redis.ended)
        else:
            wait_for_redis(environment)
        if password := set_up(demo=environment.demo):
            self._show_password(password)
        programs = {name: build(environment) for name, build in PROGRAMS.items()}
        web, beat = programs.pop("web"), programs.pop("beat")
        supervisor.start(*programs.values())
        supervisor.start(web, beat)
        if _wait_until_ready(environment, supervisor, web):
            self._welcome(environment)
        supervisor.watch()
        self.stdout.write("\nStopping: the running job is checkpointed and queued again …")

    def _show_password(self, password: str) -> None:
        # At once: whatever stops this start, the next one will not know the password.
        self.stdout.write(f"\nSign in as admin with the one-time password: {password}")
        self.stdout.write("It is shown only now; choose your own after signing in.")
        self.stdout.flush()

    def _welcome(self, environment: Environment) -> None:
        self.stdout.write(f"\nSIM Studio is ready: http://{_reachable(environment.host)}:{environment.port}/")
        self.stdout.write(f"State and logs are in {environment.data}. Ctrl-C stops everything.\n")
        self.stdout.flush()


@contextmanager
def _only_one(environment: Environment) -> Iterator[None]:
    with (environment.data / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EnvironmentProblem(f"a studio is already running on {environment.data}") from None
        yield


def _check_port(environment: Environment) -> None:
    family = socket.AF_INET6 if ":" in environment.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((environment.host, environment.port))
        except OSError as error:
            raise EnvironmentProblem(
                f"cannot listen on {environment.host}:{environment.port} ({error.strerror}); "
                "set SIMSTUDIO_PORT to a free port, or SIMSTUDIO_HOST to an address of this machine"
            ) from None


def _reachable(host: str) -> str:
    """The host as an address names it; a server that listens everywhere is asked on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{host}]" if ":" in host else host


def _wait_until_ready(environment: Environment, supervisor: Supervisor, web: Program) -> bool:
    # Health is answered under any name, also one that is no allowed host.
    url = f"http://{_reachable(environment.host)}:{environment.port}/healthz"
    deadline = time.monotonic() + READY_SECONDS
    while not supervisor.stopping:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            if web.ended() or time.monotonic() > deadline:
                raise EnvironmentProblem(f"the web server does not answer; its log is {web.log}") from None
            time.sleep(0.1)
    return False
