"""Importing in a real browser: sent in parts, gone on with after a reload, checked by a worker."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import sign_in
from tests.e2e.test_main_job import check_page
from tests.simcore.datasets.files import named, random_pixels, write_zip
from tests.stack import Stack


def test_an_upload_goes_on_after_a_reload_and_becomes_a_data_set(page: Page, studio: Stack, tmp_path: Path) -> None:
    file = write_zip(tmp_path / "noise.zip", named(random_pixels(30, (3, 300, 300))))
    assert file.stat().st_size > 6 << 20, "more than one part"
    sign_in(page)
    page.goto("/imports/")
    sent: list[str] = []

    def first_part_only(route: Route) -> None:
        if route.request.method == "PATCH":
            sent.append(route.request.headers["upload-offset"])
            if len(sent) == 2:
                return  # the connection hangs until the reload
        route.continue_()

    page.route("**/imports/uploads/**", first_part_only)
    choose(page, file)
    expect(page.locator("[data-status]")).to_contain_text("4.0 MB of")
    page.goto("/imports/")
    expect(page.locator("[data-unfinished]")).to_contain_text("noise.zip")
    check_page(page, 1440)
    choose(page, file)
    page.wait_for_url(re.compile(r"/imports/\d+/$"))
    assert sent == ["0", str(4 << 20), str(4 << 20)]
    expect(page.get_by_text("Imported as")).to_be_visible(timeout=90_000)
    page.get_by_role("link", name="noise", exact=True).click()
    expect(page.get_by_role("heading", name="noise")).to_be_visible()
    check_page(page, 1440)
    for address in ("/teachers/", "/teachers/1/", "/datasets/"):
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(address)
        check_page(page, 390)


def choose(page: Page, file: Path) -> None:
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Import", exact=True).click()
