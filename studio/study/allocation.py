"""Which arm is on which side, in which order, and where the attention checks are: drawn once for each participant.

Participants come in pairs, in the order in which they start: the second sees every prompt the other way round.
So sides are balanced within one in each participant and, for each prompt, across those who started.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PromptFacts:
    """What tells two prompts apart."""

    text: str
    label: int | None


@dataclass(frozen=True)
class Slot:
    """One place in a participant's sequence. Prompts and arms by position.

    `left` and `right`: (prompt, arm) of the image on each side; of an attention check, `expected_left` says where the
    prompt's own image is, of another trial it is None.
    """

    prompt: int
    left: tuple[int, int]
    right: tuple[int, int]
    expected_left: bool | None = None


def allocate(key: int, number: int, prompts: Sequence[PromptFacts], checks: int = 0) -> list[Slot]:
    """The sequence of participant `number` (from 1): every prompt once, in uniformly random order.

    `key` seeds the draw. `checks` attention checks stand at random places, neither first nor last: two images of
    one arm, of which one belongs to a prompt of another text and label; fewer where no prompt differs from another.
    """
    sides = _sides(key, number, len(prompts))
    rng = random.Random(f"{key}:order:{number}")  # noqa: S311 - the key is what is secret
    order = rng.sample(range(len(prompts)), len(prompts))
    slots = [Slot(p, (p, 0), (p, 1)) if sides[p] else Slot(p, (p, 1), (p, 0)) for p in order]
    extra = _checks(rng, prompts, checks)
    if extra:
        places = rng.sample(range(1, len(slots) + len(extra) - 1), len(extra))
        for place, slot in zip(sorted(places), extra, strict=True):
            slots.insert(place, slot)
    return slots


def _sides(key: int, number: int, count: int) -> list[bool]:
    """For each prompt, whether arm 0 is on the left: half of them, the odd one by lot, at random prompts."""
    pair, second = divmod(number - 1, 2)
    rng = random.Random(f"{key}:sides:{pair}")  # noqa: S311
    left = set(rng.sample(range(count), count // 2 + rng.randrange(1 + count % 2)))
    return [(position in left) != bool(second) for position in range(count)]


def _checks(rng: random.Random, prompts: Sequence[PromptFacts], count: int) -> list[Slot]:
    """The checks, each of another prompt as long as there are enough."""
    pairs = [(own, others) for own in range(len(prompts)) if (others := _differing(prompts, own))]
    if not pairs:
        return []
    chosen = rng.sample(pairs, len(pairs))
    return [_check(rng, *chosen[i % len(chosen)]) for i in range(count)]


def can_check(prompts: Sequence[PromptFacts]) -> bool:
    """Is there an attention check that could be drawn?"""
    return any(_differing(prompts, own) for own in range(len(prompts)))


def _differing(prompts: Sequence[PromptFacts], own: int) -> list[int]:
    mine = prompts[own]
    return [
        position
        for position, other in enumerate(prompts)
        if other.text != mine.text and (other.label is None or other.label != mine.label)
    ]


def _check(rng: random.Random, own: int, others: Sequence[int]) -> Slot:
    arm, own_left, other = rng.randrange(2), rng.random() < 0.5, rng.choice(others)
    images = (own, arm), (other, arm)
    left, right = images if own_left else images[::-1]
    return Slot(own, left, right, expected_left=own_left)
