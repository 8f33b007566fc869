"""Three people take part in real browsers: by touch on a small phone, by keyboard alone, and without JavaScript."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.conftest import sign_in
from tests.e2e.test_people_and_tokens import check
from tests.stack import Stack, wait_for

PHONE = {"width": 360, "height": 740}
OPEN = (
    "from studio.accounts.models import User; from tests.studio.study.voters import opened_study; "
    "study = opened_study(User.objects.get(username='ada'), prompts=3, no_preference=True); "
    "print(study.pk, study.links.get().token)"
)


@pytest.fixture(scope="module")
def shared(studio: Stack) -> tuple[str, str]:
    """The number of an open study of three prompts, and the address of its link."""
    number, token = studio.manage(OPEN).split()[-2:]
    return number, f"http://127.0.0.1:{studio.port}/vote/{token}/"


def answers(studio: Stack, participant: int) -> list[str]:
    query = (
        "SELECT v.side FROM study_vote v JOIN study_trial t ON v.trial_id = t.id "
        f"JOIN study_participant p ON t.participant_id = p.id WHERE p.number = {participant} ORDER BY t.position"
    )
    return [str(side) for (side,) in studio.rows(query)]


def place(page: Page, number: int) -> None:
    expect(page.get_by_text(f"{number} of 3")).to_be_visible()
    expect(page.get_by_role("button", name="Left")).to_be_enabled()


def test_three_people_vote_and_their_answers_are_what_they_said(
    browser: Browser, studio: Stack, shared: tuple[str, str]
) -> None:
    _, address = shared
    with browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, color_scheme="dark") as context:  # type: ignore[arg-type]
        by_touch(context.new_page(), address)
    with browser.new_context() as context:
        by_keyboard(context.new_page(), address)
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(address)
        page.get_by_role("button", name="I agree and begin").click()
        page.get_by_role("button", name="Right").click()
        expect(page.get_by_text("2 of 3")).to_be_visible()
        assert all(page.get_by_role("img").nth(side).is_visible() for side in (0, 1))
        page.close()  # and comes back
        page = context.new_page()
        page.goto(address)
        expect(page.get_by_text("2 of 3")).to_be_visible()
        page.get_by_role("button", name="No preference").click()
        page.get_by_role("button", name="Left").click()
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert [answers(studio, number) for number in (1, 2, 3)] == [
        ["left", "right", "left"], ["right", "left", "none"], ["right", "none", "left"]
    ]  # fmt: skip


def by_touch(page: Page, address: str) -> None:
    page.goto(address)
    check(page)
    page.get_by_role("button", name="I agree and begin").tap()
    place(page, 1)
    page.emulate_media(color_scheme="light")
    check(page)
    page.emulate_media(color_scheme="dark")
    check(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]

    held: list[Route] = []
    page.route("**/images/*.png", lambda route: held.append(route))
    page.get_by_role("button", name="Left").tap()
    expect(page.get_by_text("2 of 3")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("Loading the two images…")
    held[0].continue_()
    arrived = "[...document.images].filter((image) => image.complete).length"
    wait_for(lambda: page.evaluate(arrived) == 1, 10, "one image has come")
    assert not page.get_by_alt_text("Left image").is_visible()  # one is there, none is shown
    assert not page.get_by_alt_text("Right image").is_visible()
    expect(page.get_by_role("button", name="Left")).to_be_disabled()
    held[1].continue_()
    place(page, 2)
    assert page.get_by_alt_text("Left image").is_visible()
    page.unroute("**/images/*.png")
    page.get_by_role("button", name="Right").dblclick()  # sent once
    place(page, 3)
    page.get_by_role("button", name="Left").tap()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    check(page)


def by_keyboard(page: Page, address: str) -> None:
    problems: list[str] = []
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.goto(address)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    for number, key in ((1, "2"), (2, "ArrowLeft"), (3, "3")):
        place(page, number)
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert not problems


def test_a_researcher_shares_the_study_and_looks_at_it_as_a_participant(page: Page, shared: tuple[str, str]) -> None:
    number, address = shared
    sign_in(page)
    page.goto(f"/studies/{number}/share/")
    expect(page.get_by_label("Address of the open link")).to_have_value(address)
    expect(page.get_by_alt_text("QR code of the open link")).to_be_visible()
    page.get_by_label("Notes").fill("Ada\nGrace")
    page.get_by_role("button", name="Make personal links").click()
    expect(page.get_by_role("cell", name="Grace")).to_be_visible()
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(
        page.get_by_role("button", name="Press Ctrl+C").or_(page.get_by_role("button", name="Copied"))
    ).to_be_visible()
    check(page)
    page.emulate_media(color_scheme="dark")
    check(page)
    page.get_by_role("link", name="Preview as participant").click()
    expect(page.get_by_text("A preview: nothing is stored.")).to_be_visible()
