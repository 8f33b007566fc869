"""An administrator invites somebody, who joins, makes a token and reads the reference, all in a real browser."""

from __future__ import annotations

import urllib.request

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import sign_in
from tests.stack import PASSWORD, Stack

PHONE = {"width": 390, "height": 844}


def check(page: Page) -> None:
    """No axe finding, and nothing wider than a phone."""
    violations = Axe().run(page).response["violations"]
    assert not violations, [(item["id"], item["nodes"][0]["html"]) for item in violations]
    before = page.viewport_size
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], page.url
    page.set_viewport_size(before)  # type: ignore[arg-type]


def test_somebody_is_invited_joins_makes_a_token_and_reads_the_reference(
    page: Page, browser: Browser, studio: Stack
) -> None:
    studio.manage(
        "from studio.accounts.models import User; "
        f"User.objects.create_user('adam', password='{PASSWORD}', role='administrator')"
    )
    sign_in(page, "adam")
    page.get_by_role("link", name="People").click()
    page.get_by_label("Role", exact=True).select_option("Viewer")
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_label("An invitation for a viewer").input_value()
    check(page)
    page.get_by_role("link", name="Audit log").click()
    expect(page.get_by_role("cell", name="made an invitation: viewer")).to_be_visible()
    check(page)

    with browser.new_context() as other:
        guest = other.new_page()
        guest.goto(link)
        check(guest)
        guest.get_by_label("Username").fill("nora")
        guest.get_by_label("Password", exact=True).fill(PASSWORD)
        guest.get_by_label("Password again").fill(PASSWORD)
        guest.get_by_role("button", name="Make the account").click()
        expect(guest.get_by_text("Your password is set.")).to_be_visible()
        sign_in(guest, "nora")
        expect(guest.get_by_role("link", name="New run")).to_have_count(0)
        guest.get_by_role("link", name="API").click()
        guest.get_by_label("Name", exact=True).fill("script")
        guest.get_by_role("button", name="Make the token").click()
        token = guest.get_by_label("Your new token").input_value()
        check(guest)
    request = urllib.request.Request(
        f"http://127.0.0.1:{studio.port}/api/v1/me", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert b'"username":"nora"' in answer.read()

    page.goto("/api/reference/")
    expect(page.get_by_text("/api/v1/runs/{id}/metrics", exact=True)).to_be_visible()
    page.locator("#operations-me-me_retrieve button").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".responses-table.live-responses-table")).to_contain_text('"username": "adam"')
