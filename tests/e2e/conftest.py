from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser import ADVICE, FLAGS, find_chromium
from tests.stack import PASSWORD, Stack


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    assert path, ADVICE
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A whole studio with one runs worker, for browsers."""
    with Stack(tmp_path_factory.mktemp("studio") / "data", lease_seconds=15) as stack:
        stack.port = stack.start_web()
        stack.start_worker("runs")
        stack.start_worker("light")
        stack.start_beat()
        yield stack


@pytest.fixture
def context(browser: Browser, studio: Stack) -> Iterator[BrowserContext]:
    with browser.new_context(
        base_url=f"http://127.0.0.1:{studio.port}", viewport={"width": 1440, "height": 900}
    ) as context:
        context.set_default_timeout(15_000)
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page whose scripts may not fail. A refused form is no failure, though the console reports its status."""
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    yield page
    assert not [problem for problem in problems if "status of 422" not in problem]


def sign_in(page: Page, username: str = "ada") -> None:
    if not page.url.endswith("/sign-in/"):
        page.goto("/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/runs/")
