"""`manage.py start` and `manage.py healthy`, as containers use them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from studio.common.programs import beat_schedule
from studio.environment import PROJECT
from tests.stack import free_port, wait_for


@pytest.fixture
def here(settings: Any, tmp_path: Path) -> Any:
    """The environment of a studio in an empty folder, on a port of its own."""
    changes = {"data": tmp_path, "port": free_port()}
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update=changes)
    return settings.ENVIRONMENT


@pytest.fixture
def web(here: Any, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A web server whose studio was never set up, and that has no Redis."""
    variables = {
        "DJANGO_SETTINGS_MODULE": "studio.settings",
        "SIMSTUDIO_DATA": str(tmp_path),
        "SIMSTUDIO_PORT": str(here.port),
        "SIMSTUDIO_LOG": "json",
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "start", "web"],
            cwd=PROJECT,
            env=os.environ | variables,
            stdout=log,
            stderr=log,
        )
        yield process
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


def test_a_web_server_lives_before_it_is_ready_says_what_is_missing_and_stops_at_a_signal(
    here: Any, web: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    base = f"http://127.0.0.1:{here.port}"
    wait_for(lambda: answers(f"{base}/healthz"), 60, "the web server answers")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{base}/readyz", timeout=10)
    assert refused.value.code == 503
    parts = json.load(refused.value)["parts"]
    assert (parts["database"], parts["redis"], parts["disk"]) == ("ok", "fails", "ok")
    assert "are not applied" in parts["migrations"]
    with pytest.raises(CommandError, match="are not applied"):
        call_command("healthy", "web")
    web.send_signal(signal.SIGTERM)
    assert web.wait(15) in (0, -signal.SIGTERM)
    for line in (tmp_path / "log").read_text().splitlines()[1:]:  # uvicorn's first comes before any settings
        assert json.loads(line)["time"]


def test_a_program_that_there_is_not_is_refused() -> None:
    for command in ("start", "healthy"):
        with pytest.raises(CommandError, match="invalid choice: 'everything'"):
            call_command(command, "everything")


def test_a_web_server_that_is_away_is_not_healthy(here: Any) -> None:
    with pytest.raises(CommandError, match=r"does not answer: .*refused"):
        call_command("healthy", "web")


def test_a_worker_that_is_away_is_not_healthy(redis_server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.operations.management.commands.healthy.PING_SECONDS", 0.2)
    with pytest.raises(CommandError, match=r"the worker runs@.* does not answer"):
        call_command("healthy", "runs")


def test_beat_is_healthy_while_it_writes(here: Any, capsys: Any) -> None:
    with pytest.raises(CommandError, match="beat has not written"):
        call_command("healthy", "beat")
    file = beat_schedule(here)
    file.parent.mkdir()
    file.with_name(f"{file.name}.db").touch()
    call_command("healthy", "beat")
    assert "beat works" in capsys.readouterr().out
    long_ago = time.time() - 600
    os.utime(file.with_name(f"{file.name}.db"), (long_ago, long_ago))
    with pytest.raises(CommandError, match="beat last rang 600 s ago"):
        call_command("healthy", "beat")
