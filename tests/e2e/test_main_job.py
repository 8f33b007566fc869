"""The main job in a real browser: sign in, launch by the form, watch it live, see it succeed."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Locator, Page, Request, expect

from tests.e2e.conftest import sign_in
from tests.stack import Stack, wait_for

MINUTES = 60_000


SHORT_RUN = {
    "Name": "From the browser",
    "Iterations": "400",
    "Batch size": "64",
    "Threads": "1",
    "Samples every": "25",
    "Checkpoint every": "100",
    "Images during the run": "200",
    "Images at the end": "500",
}


def launch_by_the_form(page: Page, values: dict[str, str]) -> int:
    """Fill the given labels on New run, press Launch, and return the run's id."""
    page.goto("/runs/new/")
    for details in reversed(page.locator("details.group:not([open]) > summary").all()):
        details.click()
    for label, value in values.items():
        field(page, label).fill(value)
    page.get_by_role("button", name="Launch").click()
    page.wait_for_url(re.compile(r"/runs/\d+/"))
    return int(page.url.rstrip("/").rsplit("/", 1)[1])


def field(page: Page, label: str) -> Locator:
    """The field whose label begins so; units may follow."""
    return page.get_by_label(re.compile(f"^{label}"))


def readout(page: Page) -> str:
    return page.locator("#chart-student-loss-summary").inner_text()


@pytest.mark.timeout(600)
def test_a_run_is_launched_watched_without_polling_and_succeeds(page: Page, context: BrowserContext) -> None:
    sign_in(page)
    launch_by_the_form(page, SHORT_RUN)
    state = page.locator("[data-out=state]")
    expect(state).to_have_text("running", timeout=MINUTES)
    expect(page.locator("[data-out=connection]")).to_have_text("live")
    first_sample = page.locator("figure[data-source=student] img")
    expect(first_sample).to_be_visible(timeout=MINUTES)
    wait_for(lambda: page.locator("[data-out=step]").inner_text() not in ("0", ""), 60, "steps are counted")

    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    page.evaluate("window.notReloaded = true")
    before_summary, before_sample = readout(page), first_sample.get_attribute("src")
    page.wait_for_timeout(10_000)
    assert readout(page) != before_summary, "the loss chart grew"
    others = [request.url for request in requests if not re.search(r"/samples/\d+\.png$", request.url)]
    assert not others, "only new sample images are fetched"

    wait_for(lambda: first_sample.get_attribute("src") != before_sample, 60, "a newer grid is shown")
    expect(state).to_have_text("succeeded", timeout=7 * MINUTES)
    assert page.evaluate("window.notReloaded"), "all without a reload"
    assert page.locator("#chart-student-loss canvas").count() >= 1
    expect(page.locator("figure[data-source=teacher] img")).to_be_visible()
    expect(page.locator("[data-out=student]").first).to_have_text(re.compile(r"^\d+\.\d+$"))
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("Download the checkpoint")).first.click()
    assert Path(download.value.path()).stat().st_size > 100_000


def test_the_list_shows_a_new_run_by_itself(page: Page, studio: Stack) -> None:
    sign_in(page)
    run = studio.launch(
        {"iterations": 3, "batch_size": 8, "threads": 1, "evaluation.final_samples": 100, "evaluation.samples": 100}
    )
    row = page.locator(f"#run-{run}")
    expect(row).to_be_visible(timeout=20_000)
    expect(row).to_contain_text("succeeded", timeout=MINUTES)


def test_pause_resume_cancel_and_retry(page: Page, studio: Stack) -> None:
    sign_in(page)
    run = studio.launch(
        {"iterations": 5000, "batch_size": 8, "threads": 1, "evaluation.final_samples": 100, "evaluation.every": 0}
    )
    page.goto(f"/runs/{run}/")
    state = page.locator("[data-out=state]")
    expect(state).to_have_text("running", timeout=MINUTES)
    wait_for(lambda: studio.job(run)["step"] > 3, 60, "the run trains")
    page.get_by_role("button", name="Pause").click()
    expect(state).to_have_text("paused", timeout=MINUTES)
    paused_at = studio.job(run)["step"]
    page.get_by_role("button", name="Resume").click()
    expect(state).to_have_text("running", timeout=MINUTES)
    wait_for(lambda: studio.job(run)["step"] > paused_at, 60, "the run goes on")
    page.get_by_role("button", name="Cancel").first.click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("Cancel", re.I)).first.click()
    expect(state).to_have_text("cancelled", timeout=MINUTES)
    assert not studio.trainers()
    page.get_by_role("button", name="Retry").click()
    expect(state).to_have_text("running", timeout=MINUTES)
    steps = studio.rows(
        "SELECT count(*), count(DISTINCT step) FROM runs_metric "
        f"WHERE run_id = {run} AND NOT superseded AND name = 'student_loss'"
    )
    assert steps[0][0] == steps[0][1] >= paused_at
    page.get_by_role("button", name="Cancel").first.click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("Cancel", re.I)).first.click()
    expect(state).to_have_text("cancelled", timeout=MINUTES)


def test_errors_stand_beside_their_fields_and_nothing_is_lost(page: Page, studio: Stack) -> None:
    sign_in(page)
    before = studio.rows("SELECT count(*) FROM runs_run")
    page.goto("/runs/new/")
    field(page, "Name").fill("Kept")
    field(page, "Iterations").fill("0")
    page.get_by_role("button", name="Launch").click()
    expect(field(page, "Iterations")).to_have_attribute("aria-invalid", "true")
    expect(field(page, "Name")).to_have_value("Kept")
    expect(page.get_by_role("alert")).to_contain_text("greater than or equal to 1")
    assert studio.rows("SELECT count(*) FROM runs_run") == before


@pytest.mark.parametrize("width", [1440, 390, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits_its_width(page: Page, studio: Stack, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto("/sign-in/")
    check_page(page, width)
    sign_in(page)
    run = studio.rows("SELECT min(job_id) FROM runs_run")[0][0]
    for address in ("/runs/", "/runs/new/", f"/runs/{run}/", "/password/"):
        page.goto(address)
        check_page(page, width)


def check_page(page: Page, width: int) -> None:
    time.sleep(0.2)
    results = Axe().run(page)
    assert results.violations_count == 0, f"{page.url} at {width}: {results.generate_report()}"
    assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{page.url} is wider than {width}"
