"""Finding words in a run's log."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from studio.runs.logs import log_lines
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
    """The first MOST_HITS lines of the log that contain `query`, whatever its case, with lines around them."""
    words, total = query.casefold(), 0
    passages: list[list[LogLine]] = []
    before: deque[LogLine] = deque(maxlen=CONTEXT)  # lines that a hit would bring along
    after = 0  # lines that the last hit still brings along
    for number, text in enumerate(log_lines(run) if words else (), start=1):
        total += (found := words in text.casefold())
        line = LogLine(number, text.rstrip("\n")[:2000], found and total <= MOST_HITS)
        if line.hit:
            lines = [*before, line]
            if not (passages and passages[-1][-1].number == lines[0].number - 1):
                passages.append([])
            passages[-1] += lines
            before.clear()
            after = CONTEXT
        elif after:
            passages[-1].append(line)
            after -= 1
        else:
            before.append(line)
    return LogHits(query, total, min(total, MOST_HITS), passages)
