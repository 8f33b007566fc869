"""Sides and order, over participants and prompts (properties; no database)."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from studio.study.allocation import PromptFacts, Slot, allocate

KEYS = st.integers(0, 2**256 - 1)


def prompts(count: int) -> list[PromptFacts]:
    return [PromptFacts(f"prompt {number}", None) for number in range(count)]


def judged(slots: list[Slot]) -> list[Slot]:
    return [slot for slot in slots if slot.expected_left is None]


def lefts(slots: list[Slot]) -> dict[int, bool]:
    """For each prompt, whether arm 0 is on the left."""
    return {slot.prompt: slot.left[1] == 0 for slot in judged(slots)}


@settings(max_examples=60, deadline=None)
@given(key=KEYS, people=st.integers(1, 12), count=st.integers(1, 40), checks=st.integers(0, 5))
def test_sides_are_balanced_within_one_and_every_prompt_comes_once(
    key: int, people: int, count: int, checks: int
) -> None:
    drawn = [allocate(key, number, prompts(count), checks) for number in range(1, people + 1)]
    for slots in drawn:
        assert sorted(slot.prompt for slot in judged(slots)) == list(range(count))
        left = sum(lefts(slots).values())
        assert abs(left - (count - left)) <= 1
        for slot in judged(slots):
            assert {slot.left, slot.right} == {(slot.prompt, 0), (slot.prompt, 1)}
    for prompt in range(count):
        left = sum(lefts(slots)[prompt] for slots in drawn)
        assert abs(left - (people - left)) <= 1


@settings(max_examples=60, deadline=None)
@given(key=KEYS, number=st.integers(1, 1000), count=st.integers(2, 30), checks=st.integers(1, 5))
def test_a_check_shows_two_images_of_one_arm_and_stands_neither_first_nor_last(
    key: int, number: int, count: int, checks: int
) -> None:
    slots = allocate(key, number, prompts(count), checks)
    found = [place for place, slot in enumerate(slots) if slot.expected_left is not None]
    assert len(found) == checks
    assert min(found) > 0
    assert max(found) < len(slots) - 1
    for slot in (slots[place] for place in found):
        assert slot.left[1] == slot.right[1]
        assert slot.left[0] != slot.right[0]
        assert (slot.left if slot.expected_left else slot.right)[0] == slot.prompt


def test_a_check_never_compares_prompts_that_ask_for_the_same() -> None:
    same = [PromptFacts("a four", 4), PromptFacts("a four", 4), PromptFacts("4", 4), PromptFacts("a nine", 9)]
    for number in range(1, 200):
        for slot in allocate(3, number, same, 3):
            if slot.expected_left is not None:
                assert (slot.left[0] == 3) != (slot.right[0] == 3)
    assert len(allocate(3, 1, same[:2], 3)) == 2  # no two differ: no checks


def test_the_same_draw_comes_again_and_another_key_draws_another() -> None:
    assert allocate(5, 4, prompts(17), 2) == allocate(5, 4, prompts(17), 2)
    assert allocate(5, 4, prompts(17), 2) != allocate(6, 4, prompts(17), 2)


def test_order_sides_and_places_of_checks_are_uniform() -> None:
    people, count = 3000, 6
    where, first_left, places = Counter[tuple[int, int]](), Counter[int](), Counter[int]()
    for number in range(1, people + 1):
        slots = allocate(2026, number, prompts(count), 1)
        where.update((slot.prompt, place) for place, slot in enumerate(judged(slots)))
        first_left.update(place for place, slot in enumerate(judged(slots)) if slot.left[1] == 0)
        places.update(place for place, slot in enumerate(slots) if slot.expected_left is not None)
    assert chisquare([where[prompt, place] for prompt in range(count) for place in range(count)]).pvalue > 1e-3
    assert chisquare([first_left[place] for place in range(count)]).pvalue > 1e-3
    assert set(places) == set(range(1, count))
    assert chisquare([places[place] for place in sorted(places)]).pvalue > 1e-3
    # An odd number of prompts: who gets the odd one is a matter of luck, and the other of the pair evens it out.
    nines = sum(sum(lefts(allocate(2026, number, prompts(17))).values()) == 9 for number in range(1, 401, 2))
    assert 70 < nines < 130


def test_an_order_is_its_participants_own() -> None:
    orders = {tuple(slot.prompt for slot in allocate(1, number, prompts(17))) for number in range(1, 301)}
    assert len(orders) == 300
