"""Patterns in somebody's votes that a person should look at. Nothing is left out because of them."""

from __future__ import annotations

from collections.abc import Sequence

from studio.study.statistics.answers import Answer
from studio.study.statistics.summary import median_seconds

# Two images and a prompt are not looked at in less.
FAST_SECONDS = 1.0
# Fewer answers may be all alike by chance: six are with a probability of 2 · 2⁻⁶, about 3 %.
ALIKE_FROM = 6
SAYS = {"left": "always answered left", "right": "always answered right", "none": "never had a preference"}


def flags_of(answers: Sequence[Answer], checks: Sequence[bool]) -> tuple[str, ...]:
    """What is suspicious, in words. `checks`: whether each attention check that was answered was answered right."""
    found = []
    sides = {answer.side for answer in answers}
    if len(answers) >= ALIKE_FROM and len(sides) == 1:
        found.append(SAYS[sides.pop()])
    seconds = median_seconds(answers)
    if seconds is not None and seconds < FAST_SECONDS:
        found.append(f"implausibly fast: median {seconds:.1f} s, under {FAST_SECONDS:g} s")
    if wrong := checks.count(False):
        found.append(f"failed {wrong} of {len(checks)} attention check{'s' if len(checks) > 1 else ''}")
    return tuple(found)
