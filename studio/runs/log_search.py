"""Finding words in a run's log."""

from __future__ import annotations

from dataclasses import dataclass

from studio.runs.logs import full_log
from studio.runs.models import Run

MOST_HITS = 100
CONTEXT = 2


@dataclass(frozen=True)
class LogLine:
    """One line of the log, counted from 1."""

    number: int
    text: str
    hit: bool


@dataclass(frozen=True)
class LogHits:
    """Passages around the lines that hold the words, and how many lines do."""

    query: str
    total: int
    shown: int
    passages: list[list[LogLine]]


def search_log(run: Run, query: str) -> LogHits:
    """The first MOST_HITS lines of the full log that contain `query`, whatever its case, with lines around them."""
    lines = full_log(run).splitlines()
    words = query.casefold()
    hits = [number for number, line in enumerate(lines) if words in line.casefold()] if words else []
    shown = hits[:MOST_HITS]
    around = {near for hit in shown for near in range(hit - CONTEXT, hit + CONTEXT + 1)}
    marked = set(shown)
    passages: list[list[LogLine]] = []
    for number in sorted(near for near in around if 0 <= near < len(lines)):
        line = LogLine(number + 1, lines[number][:2000], number in marked)
        if passages and passages[-1][-1].number == number:
            passages[-1].append(line)
        else:
            passages.append([line])
    return LogHits(query, len(hits), len(shown), passages)
