"""A researcher reads the results of a study, leaves somebody out and takes the votes away."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.conftest import sign_in
from tests.stack import Stack

STUDY = """
from studio.accounts.models import User
from tests.studio.study.builders import participate, study_with
study = study_with(User.objects.get(username="ada"), prompts=6, no_preference=True, checks=1)
for answers in ("010011", "0-0010", "11100."):
    participate(study, answers, checks="+")
participate(study, "000000", seconds=0.3, checks="x")
print(study.pk)
"""


def check(page: Page) -> None:
    """No axe finding in either theme, and nothing wider than a phone."""
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        violations = Axe().run(page).response["violations"]
        assert not violations, [(item["id"], item["nodes"][0]["html"]) for item in violations]
    before = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, page.url
    page.set_viewport_size(before)  # type: ignore[arg-type]


@pytest.mark.timeout(120)
def test_results_are_read_amended_and_exported(page: Page, studio: Stack) -> None:
    study = studio.manage(STUDY).strip().splitlines()[-1]
    sign_in(page)
    page.goto(f"/studies/{study}/results/")
    expect(page.get_by_text("inflates significance")).to_be_visible()
    expect(page.get_by_text("implausibly fast: median 0.3 s, under 1 s")).to_be_visible()
    page.get_by_label("Exclude participant 4", exact=True).click()
    check(page)
    page.get_by_label("Why").and_(page.locator(":visible")).fill("did not look")
    page.get_by_role("button", name="Exclude participant 4").click()
    expect(page.get_by_text("Votes that count: 17 by 3 participants")).to_be_visible()
    expect(page.get_by_text("With the excluded: 23 by 4 participants")).to_be_visible()
    expect(page.get_by_role("textbox", name="Methods, to copy")).to_have_value(
        re.compile("participant 4: did not look")
    )
    with page.expect_download() as waiting:
        page.get_by_role("link", name="CSV", exact=True).click()
    rows = list(csv.DictReader(Path(waiting.value.path()).read_text().splitlines()))
    assert len(rows) == 23 + 4
    page.get_by_role("link", name="2", exact=True).click()
    page.get_by_label("Correct the vote of trial 1", exact=True).click()
    check(page)
    page.get_by_label("Why").and_(page.locator(":visible")).fill("a slip")
    page.get_by_role("button", name="Correct trial 1").click()
    expect(page.get_by_text("by ada: a slip")).to_be_visible()
