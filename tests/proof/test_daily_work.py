"""A day's work in a browser: a teacher comes in, a sweep over it is queued, reordered, run and compared; the comparison
has a link that somebody else can open.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from safetensors.torch import load_file, save_file

from simcore.teacher_card import read_card, teacher_folder
from tests.e2e.conftest import sign_in
from tests.stack import PASSWORD, Stack, wait_for

SETTINGS = """iterations=6
batch_size=8
schedule.samples_every=3
evaluation.samples=100
evaluation.final_samples=100"""


@pytest.mark.timeout(600)
def test_a_teacher_is_imported_a_sweep_over_it_reordered_run_and_compared_by_a_link(
    page: Page, browser: Browser, studio: Stack, tmp_path: Path
) -> None:
    studio.manage(
        "from studio.accounts.models import User; "
        f"User.objects.create_user('chief', password='{PASSWORD}', role='administrator')"
    )
    sign_in(page, "chief")
    reference = import_teacher(page, studio, tmp_path)
    drain(page, "Drain")
    first, second = launch_sweep(page, studio, reference)
    put_first(page, second)
    drain(page, "Undrain")
    states = f"SELECT state FROM jobs_job WHERE id IN ({first}, {second})"
    wait_for(lambda: set(studio.rows(states)) == {("succeeded",)}, 240, "both runs succeed")
    order = studio.rows(f"SELECT id FROM jobs_job WHERE id IN ({first}, {second}) ORDER BY started_at")
    assert order == [(second,), (first,)], "the second was put first"
    link, step = compare(page)
    open_elsewhere(browser, studio, link, step)


def import_teacher(page: Page, studio: Stack, folder: Path) -> str:
    """A new teacher, much like the bundled one; returns its reference."""
    bundled = teacher_folder("bundled:digits")
    generator = torch.Generator().manual_seed(0)
    weights = load_file(bundled / "teacher.safetensors")
    moved = {name: value + 1e-3 * torch.randn(value.shape, generator=generator) for name, value in weights.items()}
    save_file(moved, folder / "moved.safetensors")
    page.goto("/imports/")
    page.get_by_label("Title").fill("Moved digits")
    page.get_by_label("Trained on").select_option(label="Digits")
    page.get_by_label("Network, as JSON").fill(json.dumps(read_card("bundled:digits").config))
    page.locator("input[type=file]").set_input_files(folder / "moved.safetensors")
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url(re.compile(r"/imports/\d+/$"))
    expect(page.get_by_text("Imported as")).to_be_visible(timeout=90_000)
    ((reference,),) = studio.rows("SELECT reference FROM catalog_teacher WHERE title = 'Moved digits'")
    return str(reference)


def drain(page: Page, word: str) -> None:
    """The worker of runs takes nothing new, or takes work again."""
    page.goto("/workers/")
    worker = page.locator("article.worker").filter(has_text="runs · heard")
    worker.get_by_role("button", name=word, exact=True).click()
    other = "Undrain" if word == "Drain" else "Drain"
    expect(worker.get_by_role("button", name=other, exact=True)).to_be_visible()


def launch_sweep(page: Page, studio: Stack, reference: str) -> tuple[int, int]:
    """Two learning rates for that teacher; the numbers of the runs in the order of the queue."""
    page.goto("/runs/groups/new/")
    page.get_by_label("Name").fill("two rates")
    page.get_by_label("Other settings for all").fill(f"teacher={reference}\n{SETTINGS}")
    page.get_by_label("Setting to vary").select_option("student_optimizer.learning_rate")
    page.get_by_label("Its values").first.fill("1e-4, 2e-4")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="2 runs in 2 cells")).to_be_visible()
    check(page)
    page.get_by_role("button", name="Launch 2 runs").click()
    page.wait_for_url(re.compile(r"/runs/groups/\d+/"))
    rows = studio.rows("SELECT id FROM jobs_job ORDER BY id DESC LIMIT 2")
    return int(rows[1][0]), int(rows[0][0])


def put_first(page: Page, job: int) -> None:
    page.goto("/workers/")
    expect(page.locator("li.queued")).to_have_count(2)
    check(page)
    page.locator(f"#first-{job}").click()
    expect(page.locator("li.queued").first).to_have_attribute("id", f"queued-{job}")


def compare(page: Page) -> tuple[str, str]:
    """From the group's page to the comparison; its link, with a step and smoothing chosen, and that step."""
    page.goto("/runs/groups/")
    page.get_by_role("link", name="two rates").click()
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
    assert re.search(r"smooth=0\.5.*#step=\d+", page.url)
    return page.url, step


def open_elsewhere(browser: Browser, studio: Stack, link: str, step: str) -> None:
    """Somebody else's browser shows the same."""
    with browser.new_context(base_url=f"http://127.0.0.1:{studio.port}") as fresh:
        other = fresh.new_page()
        sign_in(other)
        other.goto(link)
        expect(other.locator("[data-step-label]")).to_have_text(step)
        expect(other.locator("output[name=smooth-value]")).to_contain_text("0.50")
        expect(other.locator(".compare-grids img:visible")).to_have_count(2)
        assert other.locator(".figures tbody tr").count() == 2


def check(page: Page) -> None:
    """Nothing for axe to find, and no scrolling to the side on a phone."""
    found = Axe().run(page)
    assert not found.response["violations"], found.generate_report()
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.documentElement.scrollWidth <= 390")  # charts follow in the next frame
    page.set_viewport_size({"width": 1440, "height": 900})
