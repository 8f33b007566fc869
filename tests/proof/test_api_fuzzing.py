"""Show 1 of the REST API: schemathesis against the OpenAPI document, all checks on, at least 5,000 requests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fuzz import FUZZED, fuzz
from tests.stack import Stack


@pytest.mark.timeout(1200)
def test_five_thousand_requests_find_nothing(tmp_path: Path) -> None:
    with Stack(tmp_path / "data", **FUZZED) as studio:
        studio.port = studio.start_web()
        statuses, said = fuzz(studio, tmp_path, examples=25)
    assert sum(statuses.values()) >= 5_000, statuses
    assert not [status for status in statuses if status >= 500]
    assert {200, 201, 204, 304, 400, 401, 404, 405, 409, 415, 422} <= statuses.keys(), "every kind of answer was met"
    match = re.search(r"Selected: (\d+)/(\d+)\n +Tested: (\d+)", said)
    assert match, said[-3000:]
    assert len(set(match.groups())) == 1, "every operation was tested"
