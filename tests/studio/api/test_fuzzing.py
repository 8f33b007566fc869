"""A few hundred generated requests, on the database of this test run; `tests/proof` makes thousands."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from tests.fuzz import FUZZED, fuzz
from tests.stack import Stack


def test_generated_requests_are_answered_as_the_document_says(tmp_path: Path) -> None:
    with Stack(tmp_path / "data", settings.ENVIRONMENT.database_url, **FUZZED) as studio:
        studio.port = studio.start_web()
        statuses, _ = fuzz(studio, tmp_path, examples=4, phases="examples,fuzzing")
    assert sum(statuses.values()) >= 100, statuses
    assert not [status for status in statuses if status >= 500]
