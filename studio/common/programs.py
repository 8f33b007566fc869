"""The processes of a studio on one machine, as the supervisor starts them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from studio.celery import LIGHT_QUEUE, RUNS_QUEUE
from studio.common.redis_server import redis_command
from studio.common.supervisor import Program
from studio.environment import Environment

# A worker may use stop_seconds for its trainer's last checkpoint; then it still has to say so.
WORKER_MARGIN = 15.0
# Threads. Of runs as many as devices may be free; of light jobs two at once, and two for the reaper and its like,
# which must not wait for them. A thread that nothing uses is never started.
LIGHT_JOBS = 2
SLOTS = {RUNS_QUEUE: 64, LIGHT_QUEUE: LIGHT_JOBS + 2}


def redis_program(environment: Environment) -> Program:
    """The embedded server. Raises EnvironmentProblem where there is none."""
    return _program(environment, "redis", redis_command(environment), stop_seconds=10)


def web_program(environment: Environment) -> Program:
    """The ASGI server."""
    command = [
        sys.executable, "-m", "uvicorn", "studio.asgi:application", "--host", environment.host,
        "--port", str(environment.port), "--lifespan", "off", "--no-access-log", "--timeout-graceful-shutdown", "3",
        "--ws-max-size", "4096", "--ws-per-message-deflate", "false",
    ]  # fmt: skip
    return _program(environment, "web", command, stop_seconds=10)


def worker_program(environment: Environment, queue: str) -> Program:
    """A worker in one process: its tasks only wait for trainers and the database, so threads are enough."""
    command = _celery(
        "worker", "--queues", queue, "--pool", "threads", "--concurrency", str(SLOTS[queue]),
        "--hostname", f"{queue}@%h", "--without-gossip", "--without-mingle",
    )  # fmt: skip
    return _program(environment, f"worker-{queue}", command, stop_seconds=environment.stop_seconds + WORKER_MARGIN)


def beat_program(environment: Environment) -> Program:
    """The clock that rings for work and calls the reaper."""
    schedule = beat_schedule(environment)
    schedule.parent.mkdir(parents=True, exist_ok=True)
    return _program(environment, "beat", _celery("beat", "--schedule", str(schedule), "--pidfile", ""), stop_seconds=10)


def beat_schedule(environment: Environment) -> Path:
    """Beat's file, which it writes after each ring. Not in the way of a backup."""
    return environment.data / "beat" / "schedule"


# What `manage.py start` can become, by name.
PROGRAMS: dict[str, Callable[[Environment], Program]] = {
    "web": web_program,
    "runs": lambda environment: worker_program(environment, RUNS_QUEUE),
    "light": lambda environment: worker_program(environment, LIGHT_QUEUE),
    "beat": beat_program,
}


def _celery(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "celery", "--app", "studio.celery", *arguments, "--loglevel", "WARNING"]


def _program(environment: Environment, name: str, command: list[str], *, stop_seconds: float) -> Program:
    return Program(name, command, stop_seconds, environment.data / "logs" / f"{name}.log")
