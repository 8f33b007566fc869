"""A sweep from one form, its two runs side by side, and the link to that comparison in a fresh session."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import sign_in
from tests.stack import Stack, wait_for

SETTINGS = "\n".join(
    (
        "iterations=6",
        "batch_size=8",
        "schedule.samples_every=3",
        "evaluation.samples=100",
        "evaluation.final_samples=100",
    )
)


def check(page: Page) -> None:
    """Nothing for axe to find, and no scrolling to the side on a phone."""
    found = Axe().run(page)
    assert not found.response["violations"], found.generate_report()
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.documentElement.scrollWidth <= 390")  # charts follow in the next frame
    page.set_viewport_size({"width": 1440, "height": 900})


@pytest.mark.timeout(600)
def test_a_sweep_is_launched_and_compared_and_its_link_restores_the_comparison(
    page: Page, browser: Browser, studio: Stack
) -> None:
    sign_in(page)
    page.goto("/runs/groups/new/")
    page.get_by_label("Name").fill("two rates")
    page.get_by_label("Other settings for all").fill(SETTINGS)
    page.get_by_label("Setting to vary").select_option("student_optimizer.learning_rate")
    page.get_by_label("Its values").first.fill("1e-4, 2e-4")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="2 runs in 2 cells")).to_be_visible()
    check(page)
    page.get_by_role("button", name="Launch 2 runs").click()
    page.wait_for_url(re.compile(r"/runs/groups/\d+/"))
    newest = "SELECT state FROM jobs_job ORDER BY id DESC LIMIT 2"
    wait_for(lambda: set(studio.rows(newest)) == {("succeeded",)}, 240, "both runs succeed")
    page.reload()
    expect(page.locator("#chart-frechet canvas")).to_be_visible()
    expect(page.locator(".figures strong")).to_have_count(2)
    check(page)
    for box in page.locator("input[name=runs]").all():
        box.check()
    expect(page.locator("[data-picked]")).to_have_text("2 ticked")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_url(re.compile(r"/runs/compare/\?runs=\d+,\d+"))
    expect(page.locator(".compare-grids img:visible")).to_have_count(2)
    expect(page.locator("#chart-student-loss .readout-item")).to_have_count(2)
    check(page)
    page.keyboard.press("[")
    step = page.locator("[data-step-label]").inner_text()
    page.locator("input[name=smooth]").fill("0.5")
    link = page.url
    assert re.search(r"smooth=0\.5.*#step=\d+", link)
    with browser.new_context(base_url=f"http://127.0.0.1:{studio.port}") as fresh:
        other = fresh.new_page()
        sign_in(other)
        other.goto(link)
        expect(other.locator("[data-step-label]")).to_have_text(step)
        expect(other.locator("output[name=smooth-value]")).to_contain_text("0.50")
        expect(other.locator(".compare-grids img:visible")).to_have_count(2)
        assert other.locator(".figures tbody tr").count() == 2
