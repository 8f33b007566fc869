"""Participants of a study in real browsers: by touch on a small phone, by keyboard alone, and without JavaScript."""

from __future__ import annotations

from collections.abc import Sequence

from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.test_main_job import check_page
from tests.stack import wait_for

PHONE = {"width": 360, "height": 740}
BUTTONS = {"left": "Left", "right": "Right", "none": "No preference"}
KEYS = {"left": ("1", "ArrowLeft"), "right": ("2", "ArrowRight"), "none": ("3", "3")}


def vote_by_touch(browser: Browser, address: str, answers: Sequence[str]) -> None:
    """On a phone of 360 px; looks at consent, pair and thanks on the way, and at how the images of a pair appear."""
    with browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(address)
        check_looks(page, 360, 1440)
        page.get_by_role("button", name="I agree and begin").tap()
        at_pair(page, 1, answers)
        check_looks(page, 360, 1440)
        held: list[Route] = []
        page.route("**/images/*.png", lambda route: held.append(route))
        page.get_by_role("button", name=BUTTONS[answers[0]]).tap()
        watch_the_images_appear_together(page, held)
        page.unroute("**/images/*.png")
        for place, answer in enumerate(answers[1:], start=2):
            at_pair(page, place, answers)
            if place == 3:
                page.get_by_role("button", name=BUTTONS[answer]).dblclick()  # sent once
            else:
                page.get_by_role("button", name=BUTTONS[answer]).tap()
        thanked(page)
        check_looks(page, 360, 1440)


def watch_the_images_appear_together(page: Page, held: list[Route]) -> None:
    expect(page.get_by_role("status")).to_have_text("Loading the two images…")
    held[0].continue_()
    arrived = "[...document.images].filter((image) => image.complete).length"
    wait_for(lambda: page.evaluate(arrived) == 1, 10, "one image has come")
    assert not page.get_by_alt_text("Left image").is_visible()  # one is there, none is shown
    assert not page.get_by_alt_text("Right image").is_visible()
    expect(page.get_by_role("button", name="Left")).to_be_disabled()
    held[1].continue_()
    expect(page.get_by_alt_text("Left image")).to_be_visible()
    assert page.get_by_alt_text("Right image").is_visible()


def vote_by_keyboard(browser: Browser, address: str, answers: Sequence[str], *, closing_at: int) -> None:
    """No pointer; closes the tab at that pair and comes back by the link."""
    problems: list[str] = []
    with browser.new_context() as context:
        context.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
        page = context.new_page()
        page.goto(address)
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        for place, answer in enumerate(answers, start=1):
            at_pair(page, place, answers)
            if place == closing_at:
                page.close()
                page = context.new_page()
                page.goto(address)
                at_pair(page, place, answers)
            page.keyboard.press(KEYS[answer][place % 2])
        thanked(page)
    assert not problems


def vote_without_scripts(browser: Browser, address: str, answers: Sequence[str]) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(address)
        page.get_by_role("button", name="I agree and begin").click()
        for place, answer in enumerate(answers, start=1):
            at_pair(page, place, answers)
            assert all(page.get_by_role("img").nth(side).is_visible() for side in (0, 1))
            page.get_by_role("button", name=BUTTONS[answer]).click()
        thanked(page)


def turned_away(browser: Browser, address: str) -> None:
    """The link of a study that is closed says so, to a newcomer on a phone."""
    with browser.new_context(viewport=PHONE) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(address)
        expect(page.get_by_role("heading", name="This study is closed")).to_be_visible()
        check_looks(page, 360, 1440)


def at_pair(page: Page, place: int, answers: Sequence[str]) -> None:
    expect(page.get_by_text(f"{place} of {len(answers)}", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Left")).to_be_enabled()


def thanked(page: Page) -> None:
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    expect(page.get_by_text("completion code")).to_be_visible()


def check_looks(page: Page, *widths: int) -> None:
    """At each width, light and dark: nothing for axe to find, nothing wider than the window. Then as it was."""
    before = page.viewport_size
    assert before is not None
    for width in widths:
        page.set_viewport_size({"width": width, "height": 844})
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            check_page(page, width)
    page.set_viewport_size(before)
