"""Votes as plain data, counted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from studio.study.statistics.figures import Tally

NEITHER = 2  # beside the arms 0 and 1, where a code is needed


class Answer(NamedTuple):
    """One vote. `left`: the arm (0 or 1) shown on the left; `side`: "left", "right" or "none"; `seconds` it took."""

    participant: int
    prompt: int
    left: int
    side: str
    seconds: float | None = None

    @property
    def chosen(self) -> int | None:
        """The arm; None: no preference."""
        return None if self.side == "none" else self.left if self.side == "left" else 1 - self.left


def tally(answers: Iterable[Answer], arm: int) -> Tally:
    """Votes for `arm`, for the other one, and without a preference."""
    chosen = [answer.chosen for answer in answers]
    return Tally(chosen.count(arm), chosen.count(1 - arm), chosen.count(None))


def matrix(answers: Sequence[Answer], arm: int) -> NDArray[np.float64]:
    """Participants × prompts, each in rising order: 1 where `arm` was chosen, 0 the other, ½ neither, NaN no vote.

    Raises ValueError where somebody votes twice on one prompt.
    """
    people = sorted({answer.participant for answer in answers})
    prompts = sorted({answer.prompt for answer in answers})
    row = {number: place for place, number in enumerate(people)}
    column = {number: place for place, number in enumerate(prompts)}
    scores = np.full((len(people), len(prompts)), np.nan)
    for answer in answers:
        cell = row[answer.participant], column[answer.prompt]
        if not math.isnan(scores[cell]):
            raise ValueError(f"participant {answer.participant} has two votes on prompt {answer.prompt}")
        scores[cell] = 0.5 if answer.chosen is None else float(answer.chosen == arm)
    return scores
