"""The first start: the demo run appears by itself, streams, succeeds, keeps its promise, and leaves a study to review.

DEMO_SCREENSHOT=FILE keeps a picture of the run page for the README.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.stack import free_port
from tests.up import PASSWORD, READY, Up

MINUTES = 60_000
TRAINING_SECONDS = 600


@pytest.mark.timeout(1500)
def test_the_demo_run_appears_streams_and_keeps_its_promise(browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    studio = Up(folder, free_port(), SIMSTUDIO_DEMO="1")
    try:
        studio.wait_until_ready()
        ready, password = READY.search(studio.output), PASSWORD.search(studio.output)
        assert ready, studio.output
        assert password, studio.output
        watch_in_a_browser(browser, ready.group(1), password.group(1))
    finally:
        studio.stop(signal.SIGINT)
    assert studio.process.returncode == 0, studio.output
    check_promise(folder)


def watch_in_a_browser(browser: Browser, address: str, password: str) -> None:
    with browser.new_context(base_url=address, viewport={"width": 1440, "height": 1000}) as context:
        page = context.new_page()
        page.goto("/")
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_role("button", name="Sign in").click()
        choose_a_password(page, password)
        row = page.get_by_role("row").filter(has_text="Demo")
        expect(row).to_contain_text("running", timeout=MINUTES)
        row.get_by_role("link").first.click()
        watch_the_run(page)
        find_the_study(page)


def choose_a_password(page: Page, password: str) -> None:
    page.get_by_role("link", name="Choose your own").click()
    page.get_by_label("Old password").fill(password)
    for label in ("New password", "New password confirmation"):
        page.get_by_label(label, exact=True).fill("a demo of one's own 42")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/runs/")
    expect(page.get_by_role("link", name="Choose your own")).to_have_count(0)


def watch_the_run(page: Page) -> None:
    state, step = page.locator("[data-out=state]"), page.locator("[data-out=step]")
    expect(step).not_to_have_text("0", timeout=3 * MINUTES)
    page.evaluate("window.notReloaded = true")
    seen = set()
    for _ in range(3):
        page.wait_for_timeout(5_000)
        seen.add((step.inner_text(), page.locator("#chart-student-loss-summary").inner_text()))
    assert len(seen) == 3, "steps and losses arrive while we look"
    expect(state).to_have_text("succeeded", timeout=22 * MINUTES)
    assert page.evaluate("window.notReloaded")
    if picture := os.environ.get("DEMO_SCREENSHOT"):
        page.reload()
        expect(page.locator("[data-out=connection]")).to_have_text(re.compile("live|ended|done"), timeout=MINUTES)
        page.wait_for_timeout(1_000)
        page.screenshot(path=picture)


def find_the_study(page: Page) -> None:
    page.goto("/studies/")
    page.get_by_role("link", name="Digits: teacher or student?").click()
    expect(page.get_by_text("0 of 34 images approved")).to_be_visible()
    expect(page.get_by_role("button", name="Open the study")).to_be_visible(timeout=3 * MINUTES)


def check_promise(folder: Path) -> None:
    with sqlite3.connect(folder / "studio.sqlite3") as database:
        runs = "SELECT state, result FROM jobs_job WHERE kind = 'distil'"
        ((state, result),) = database.execute(runs).fetchall()
    assert state == "succeeded"
    summary = json.loads(result)
    print(json.dumps(summary))
    assert summary["student_frechet"] <= 3 * summary["teacher_frechet"]
    assert summary["student_frechet"] <= summary["initial_frechet"] / 20
    assert summary["student_accuracy"] >= 0.97
    assert summary["seconds"] <= TRAINING_SECONDS
