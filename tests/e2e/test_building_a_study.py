"""A study in a real browser: built from the digits teacher, drawn by a worker, reviewed by keyboard, opened."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import sign_in
from tests.e2e.test_main_job import check_page
from tests.stack import Stack
from tests.studio.study.builders import png


def test_a_study_is_built_reviewed_by_keyboard_and_opened(page: Page, studio: Stack, tmp_path: Path) -> None:
    sign_in(page)
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url("**/studies/")
    check_page(page, 1440)
    page.get_by_role("link", name="Make the first study").click()
    page.get_by_label("Title").fill("18 steps against 2")
    page.get_by_label("Number of prompts").fill("3")
    page.get_by_role("button", name="Make the study").click()
    expect(page.get_by_role("heading", name="18 steps against 2")).to_be_visible()
    expect(page.get_by_role("button", name="Draw the images")).to_be_disabled()

    page.get_by_role("link", name="Arms").click()
    for letter, steps in (("A", "18"), ("B", "2")):
        arm = page.get_by_role("region", name=f"Arm {letter}")
        arm.get_by_label("Kind").select_option("teacher")
        expect(arm.get_by_label("Step", exact=True)).to_be_hidden()
        arm.get_by_label("Teacher").select_option(label="Digits, 8×8")
        arm.get_by_label("Heun steps").fill(steps)
        arm.get_by_role("button", name=f"Set arm {letter}").click()
        expect(page.get_by_text(f"Arm {letter} is set.")).to_be_visible()
    page.get_by_role("link", name="Prompts", exact=True).click()
    page.get_by_role("button", name="Draw").click()
    expect(page.get_by_text("3 prompts are drawn.")).to_be_visible()
    pages_fit(page, "../new/", "settings/", "arms/", "prompts/")

    page.get_by_role("link", name="Overview").click()
    page.get_by_role("button", name="Draw the images").click()
    expect(page.get_by_role("button", name="Open the study")).to_be_disabled(timeout=90_000)

    page.get_by_role("link", name="Review", exact=True).first.click()
    progress = page.locator("#review-progress")
    page.keyboard.press("ArrowRight")
    for _ in range(5):
        page.keyboard.press("a")
    expect(progress).to_contain_text("5 of 6 approved")
    page.keyboard.press("r")
    page.keyboard.type("a smudge")
    page.keyboard.press("Enter")
    expect(progress).to_contain_text("1 rejected")
    rejected = page.locator('.review-card[data-review="rejected"]')
    expect(rejected).to_contain_text("a smudge")
    pages_fit(page, "", "review/")
    (tmp_path / "better.png").write_bytes(png(200))
    rejected.get_by_text("Replace it by a file").click()
    rejected.locator("input[type=file]").set_input_files(tmp_path / "better.png")
    rejected.get_by_role("button", name="Replace").click()
    expect(progress).to_contain_text("5 of 6 approved")
    page.get_by_role("button", name="Approve").click()
    expect(progress).to_contain_text("6 of 6 approved. The study can open.")
    page.get_by_role("link", name="can open").click()
    page.get_by_role("button", name="Open the study").click()
    expect(page.get_by_text("The study is open.")).to_be_visible()
    pages_fit(page, "../", "audit/")


def pages_fit(page: Page, *places: str) -> None:
    """These pages, wide and light, on a phone and dark; afterwards the page is as it was."""
    here = page.url
    study = re.sub(r"(/studies/\d+/).*", r"\1", here)
    for place in places:
        page.goto(study + place)
        check_page(page, 1440)
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": 390, "height": 844})
        check_page(page, 390)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(here)
