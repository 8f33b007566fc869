"""The studio's REST API as methods. Answers are the API's own JSON documents: see docs/api.md and /api/v1/schema."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from studio.client.credentials import find_credentials
from studio.client.download import Tell, download, fetch
from studio.client.follow import SERIES, News, follow
from studio.client.http import Document, Http
from studio.client.uploads import upload

PAGE_SIZE = 200


class Client:
    """One studio, asked with one token.

    Every method raises ApiError where the studio refuses, and Unreachable where it does not answer.
    """

    def __init__(self, url: str, token: str, *, tries: int = 5) -> None:
        """`url` as in http://127.0.0.1:8000; `tries`: how often each request is sent at most. Raises ValueError."""
        self.http = Http(url, token, tries=tries)

    @classmethod
    def signed_in(cls) -> Client:
        """With SIMSTUDIO_URL and SIMSTUDIO_TOKEN, or what `simstudio login` kept. Raises NotSignedIn, ValueError."""
        credentials = find_credentials()
        return cls(credentials.url, credentials.token)

    def me(self) -> Document:
        """Whose token this is."""
        return self._get("me")

    def presets(self) -> list[Document]:
        return list(self._get("presets")["results"])

    # ---- runs

    def runs(self, **filters: Any) -> Iterator[Document]:
        """Newest first. Filters: q, state, owner, teacher, preset, objective, tag, group, archived, ordering."""
        return self._rows("runs", **filters)

    def run(self, run_id: int) -> Document:
        return self._get(f"runs/{run_id}")

    def run_create(self, preset: str, *, name: str = "", settings: Document | None = None) -> Document:
        """Launch a preset with some settings changed, as in {"objective.distance": "l1"}."""
        body = {"preset": preset, "name": name, "settings": settings or {}}
        return dict(self.http.create("runs", body))

    def run_clone(self, run_id: int, *, name: str = "", settings: Document | None = None) -> Document:
        """Launch a run with that one's settings, some of them changed."""
        return dict(self.http.create(f"runs/{run_id}/clones", {"name": name, "settings": settings or {}}))

    def run_change(self, run_id: int, **changes: Any) -> Document:
        """name, tags, notes, archived, priority: all that is given, or nothing."""
        return dict(self.http.send("PATCH", f"runs/{run_id}", changes))

    def run_act(self, run_id: int, action: str) -> Document:
        """pause, resume, checkpoint, cancel or retry."""
        return dict(self.http.send("POST", f"runs/{run_id}/actions/{action}"))

    def follow(
        self, run_id: int, *, series: tuple[str, ...] = SERIES, seconds: float = 2, patience: float = 600
    ) -> Iterator[News]:
        """The run now, then whenever it has changed, until it has ended: see `studio.client.follow`."""
        return follow(self.http, run_id, series=series, seconds=seconds, patience=patience)

    def metrics(self, run_id: int, *series: str, width: int = 600, **steps: int) -> dict[str, Document]:
        """Each series in at most `width` buckets; steps: `from` and `to`."""
        found = self._get(f"runs/{run_id}/metrics", series=",".join(series), width=width, **steps)
        return dict(found["series"])

    def log(self, run_id: int) -> str:
        """The whole log."""
        return self.http.request("GET", f"runs/{run_id}/log").data.decode(errors="replace")

    def evaluations(self, run_id: int, *, source: str | None = None) -> list[Document]:
        """Figures measured during the run, by step; source: student or teacher."""
        return list(self._rows(f"runs/{run_id}/evaluations", source=source))

    def samples(self, run_id: int, *, source: str | None = None) -> list[Document]:
        """Sample grids, by step; source: student or teacher."""
        return list(self._rows(f"runs/{run_id}/samples", source=source))

    def checkpoints(self, run_id: int) -> list[Document]:
        """By step, those that are kept."""
        return list(self._rows(f"runs/{run_id}/checkpoints"))

    def download(self, run_id: int, checkpoint: Document, target: Path, *, tell: Tell | None = None) -> Path:
        """One of `checkpoints` as a file, resumed where an earlier call broke off, and checked.

        tell: called with the bytes that are here. Raises DownloadFailed, FileExistsError, OSError as well.
        """
        path = f"runs/{run_id}/checkpoints/{checkpoint['id']}"
        return download(
            self.http, path, target, size=checkpoint["size"], sha256=checkpoint["sha256"], tell=tell
        )  # fmt: skip

    # ---- catalogue

    def teachers(self, **filters: Any) -> Iterator[Document]:
        """By title. Filters: q, ordering."""
        return self._rows("teachers", **filters)

    def datasets(self, **filters: Any) -> Iterator[Document]:
        """By title. Filters: q, ordering."""
        return self._rows("datasets", **filters)

    def upload(self, file: Path, *, tell: Tell | None = None) -> Document:
        """A file sent in parts, from where an earlier call broke off; tell: called with the bytes that are there."""
        return upload(self.http, file, tell=tell)

    def import_create(self, **facts: Any) -> Document:
        """Begin an import of an `upload` (its id) or of a `path` in the import folder.

        Other facts: title, licence, source, dataset, network.
        """
        return dict(self.http.create("imports", facts))

    def import_wait(self, import_id: int, *, seconds: float = 1) -> Document:
        """The import once it has ended; its `entry` is None where the file was refused, and `verdict` says why."""
        while True:
            found, _ = self.http.poll(f"imports/{import_id}")
            if not found["running"]:
                return dict(found)
            time.sleep(seconds)

    # ---- studies

    def studies(self, **filters: Any) -> Iterator[Document]:
        """Newest first. Filters: q, state, owner."""
        return self._rows("studies", **filters)

    def study(self, study_id: int) -> Document:
        """One, with its settings and what comes next."""
        return self._get(f"studies/{study_id}")

    def study_create(self, title: str, **settings: Any) -> Document:
        """A draft. settings: question, consent, prompts_wanted, participants_wanted, seed, checks …"""
        return dict(self.http.create("studies", {"title": title, **settings}))

    def study_results(self, study_id: int) -> Document:
        """The tally with its uncertainty, with (`everyone`) and without (`kept`) those who are excluded."""
        return self._get(f"studies/{study_id}/results")

    def study_export(self, study_id: int, target: Path, *, kind: str = "csv") -> Path:
        """The votes as a file, csv or json. Raises FileExistsError, OSError as well; a broken one is not left."""
        return fetch(self.http, f"studies/{study_id}/votes.{kind}", target)

    # ---- groups, workers, the queue

    def groups(self) -> Iterator[Document]:
        """Sweeps and ablations, newest first."""
        return self._rows("groups")

    def group(self, group_id: int) -> Document:
        """One, with its table."""
        return self._get(f"groups/{group_id}")

    def group_create(self, kind: str, preset: str, **plan: Any) -> Document:
        """Queue a sweep or an ablation, whole or not at all.

        plan: name, settings, seeds, base_run, diff_instruct, and axes, as in
        {"student_optimizer.learning_rate": [1e-4, 2e-4]}.
        """
        return dict(self.http.create("groups", {"kind": kind, "preset": preset, **plan}))

    def workers(self) -> Iterator[Document]:
        """With their devices and jobs, by name."""
        return self._rows("workers")

    def worker_drain(self, worker_id: int, *, draining: bool = True) -> Document:
        """Let it finish and take nothing new, or work again. For administrators."""
        return dict(self.http.send("POST", f"workers/{worker_id}/{'drain' if draining else 'undrain'}"))

    def queue(self) -> Iterator[Document]:
        """The jobs that wait, in order, with the reason."""
        return self._rows("queue")

    def queue_move(self, job_id: int, direction: str) -> Document:
        """first, up, down, last. For administrators."""
        return dict(self.http.send("POST", f"queue/{job_id}/moves/{direction}"))

    def _get(self, path: str, **query: Any) -> Document:
        return dict(self.http.get(path, **query))

    def _rows(self, path: str, **query: Any) -> Iterator[Document]:
        """All rows of a list, page by page."""
        page, more = 1, True
        while more:
            answer = self.http.get(path, **{"page_size": PAGE_SIZE} | query, page=page)
            yield from answer["results"]
            page, more = page + 1, answer["next"] is not None
