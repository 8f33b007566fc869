from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from studio.accounts.models import Role, User
from studio.accounts.services import invitation_create
from studio.common.log_context import log_fields, logging_settings
from tests.studio.builders import announce
from tests.studio.test_environment import manage


class Output:
    """What the console handler of one style writes."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def of(self, logger: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["logger"] == logger]


@pytest.fixture(params=["json"])
def output(request: pytest.FixtureRequest) -> Iterator[Output]:
    """The studio's own handler beside pytest's, writing where the test reads."""
    configurator = logging.config.dictConfigClass(logging_settings(request.param))  # type: ignore[attr-defined]
    written = Output()
    handler = logging.StreamHandler(written.stream)
    handler.setFormatter(configurator.configure_formatter(configurator.config["formatters"][request.param]))
    handler.addFilter(configurator.configure_filter(configurator.config["filters"]["context"]))
    root, requests = logging.getLogger(), logging.getLogger("studio.requests")
    level = requests.level
    requests.setLevel(configurator.config["loggers"]["studio.requests"]["level"])
    root.addHandler(handler)
    yield written
    root.removeHandler(handler)
    requests.setLevel(level)


def test_a_request_is_one_line_that_says_who_what_and_which(ada: Client, user: Any, output: Output) -> None:
    response = ada.get("/runs/", headers={"X-Request-ID": "proxy-17"})
    assert response["X-Request-ID"] == "proxy-17"
    (line,) = output.of("studio.requests")
    assert set(line) == {"time", "level", "logger", "message", "request_id", "user_id"}
    assert (line["level"], line["request_id"], line["user_id"]) == ("INFO", "proxy-17", user.pk)
    assert line["message"].startswith("GET /runs/ 200 in ")
    assert line["time"].endswith("+00:00")


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\u00e9", '"},{"'])
def test_an_id_that_is_none_gets_replaced(client: Client, db: None, given: str) -> None:
    received = client.get("/sign-in/", headers={"X-Request-ID": given})["X-Request-ID"]
    assert received != given
    assert len(received) == 32


def test_what_is_secret_in_an_address_is_not_logged(client: Client, db: None, output: Output) -> None:
    client.get("/sign-in/?next=/secret-of-ada/")
    client.post("/sign-in/", {"username": "ada", "password": "secret-of-ada"})
    assert output.of("studio.requests")
    assert "secret-of-ada" not in output.text


def test_a_refused_password_does_not_log_the_secret_of_its_link(client: Client, db: None, output: Output) -> None:
    admin = User.objects.create_user("adam", role=Role.ADMINISTRATOR)
    _, secret = invitation_create(role=Role.VIEWER, actor=admin)
    data = {"username": "nora", "password1": "short", "password2": "short"}
    assert client.post(f"/link/{secret}/", data).status_code == 422
    assert Client(enforce_csrf_checks=True).post(f"/link/{secret}/", data).status_code == 403
    assert "Unprocessable Entity: /link/<str:secret>/" in output.text
    assert secret not in output.text


def test_an_unexpected_error_is_logged_once_with_its_traceback(
    ada: Client, user: Any, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("at last")

    monkeypatch.setattr("studio.runs.views.run_rows", broken)
    ada.raise_request_exception = False
    response = ada.get("/runs/", headers={"X-Request-ID": "broken-1"})
    assert response.status_code == 500
    assert response["X-Request-ID"] == "broken-1"
    (error,) = [line for line in output.lines() if line["level"] == "ERROR"]
    assert "ZeroDivisionError: at last" in error["exc_info"]
    assert (error["request_id"], error["user_id"]) == ("broken-1", user.pk)
    assert output.text.count("at last") == 1 or output.text.count("Traceback") == 1


def test_fields_hold_inside_their_block_only(output: Output) -> None:
    logger = logging.getLogger("studio.test")
    with log_fields(run_id=7, attempt=2):
        with log_fields(attempt=3):
            logger.warning("inner")
        logger.warning("outer\nsecond line")
    logger.warning("after")
    inner, outer, after = output.of("studio.test")
    assert (inner["run_id"], inner["attempt"]) == (7, 3)
    assert (outer["run_id"], outer["attempt"], outer["message"]) == (7, 2, "outer\nsecond line")
    assert "run_id" not in after


@pytest.mark.parametrize("output", ["text"], indirect=True)
def test_text_lines_end_with_the_fields(output: Output) -> None:
    with log_fields(run_id=7):
        logging.getLogger("studio.test").warning("disk is nearly full")
    assert output.text.endswith(" WARNING studio.test: disk is nearly full run_id=7\n")


def test_a_workers_lines_say_which_run_and_attempt(run: Any, output: Output, settings: Any, tmp_path: Any) -> None:
    from workers.tasks import WORKER, work

    settings.RUNS_FOLDER = tmp_path / "runs"
    settings.RUNS_FOLDER.write_text("a file in the folder's place")
    announce(WORKER)
    work("runs")
    begun, broken = output.of("workers.tasks") + output.of("workers.attempt")
    assert "cannot be used" in broken["message"]
    for line in (begun, broken):
        assert (line["run_id"], line["attempt"], line["worker"]) == (run.pk, 1, WORKER)


@pytest.mark.parametrize("program", ["web", "worker"])
def test_every_program_writes_json_where_it_is_asked_to(program: str, tmp_path: Any) -> None:
    """Uvicorn and Celery configure logging themselves, unless they are kept from it."""
    code = {
        "web": "import logging, uvicorn; uvicorn.Config('studio.asgi:application').load();"
        "logging.getLogger('uvicorn.error').info('hello')",
        "worker": "import logging; from studio.celery import app; app.loader.import_default_modules();"
        "app.log.setup('WARNING'); logging.getLogger('workers.tasks').info('hello')",
    }[program]
    result = manage("shell", "--verbosity", "0", "-c", code, SIMSTUDIO_DATA=str(tmp_path), SIMSTUDIO_LOG="json")
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert [line["message"] for line in lines if line["message"] == "hello"] == ["hello"], sys.stderr
