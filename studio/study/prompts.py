"""A study's prompts: lists of them, drawing from a list with a seed, and setting them."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import category

from django.db import transaction

from studio.accounts.models import User
from studio.study.lifecycle import StudyRefused, StudyState
from studio.study.models import MOST_PROMPTS, Prompt, Study
from studio.study.pictures import drop_images
from studio.study.services import check_settings, require_state, study_locked, study_note

BUILT_IN = Path(__file__).parent / "assets" / "prompts.txt"
MOST_LIST_BYTES = 10 << 20
MOST_LINES = 100_000
MOST_CHARACTERS = 2_000


class Line(NamedTuple):
    """A prompt that a study can have; `label` is a class number, from 0."""

    text: str
    label: int | None = None


# ---- lists


def built_in() -> list[Line]:
    """The list that ships with the studio: the three prompts of B.6 and others."""
    return [Line(text) for text in BUILT_IN.read_text(encoding="utf-8").splitlines()]


def read_typed(text: str) -> list[Line]:
    """One prompt a line, the same one once; empty lines count for nothing. Raises StudyRefused naming the line."""
    return check_lines(_text_lines(text))


def read_list(name: str, content: bytes) -> list[Line]:
    """The prompts of a .txt (one a line), .jsonl or .csv file, the same one once. Raises StudyRefused naming the line.

    A line of JSONL is a string, or an object with `prompt` and perhaps `label`; CSV has a header with these names.
    """
    if len(content) > MOST_LIST_BYTES:
        raise StudyRefused(f"{name} has {len(content):,} bytes; at most {MOST_LIST_BYTES:,} are read.", "file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise StudyRefused(f"{name}, line {line}: this is not UTF-8 text.", "file") from None
    readers = {".txt": _text_lines, ".jsonl": _json_lines, ".csv": _csv_lines}
    suffix = Path(name).suffix.lower()
    if suffix not in readers:
        raise StudyRefused(f"{name} is of no kind that is read: .txt, .jsonl or .csv.", "file")
    try:
        return check_lines(readers[suffix](text))
    except StudyRefused as refusal:
        raise StudyRefused(f"{name}, {refusal}", "file") from None


def _text_lines(text: str) -> Iterator[tuple[int, Line]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, Line(line.strip())


def _json_lines(text: str) -> Iterator[tuple[int, Line]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                raise StudyRefused(f"line {number}: this is not JSON.") from None
            row = {"prompt": found} if isinstance(found, str) else found
            if not isinstance(row, dict) or not isinstance(row.get("prompt"), str):
                raise StudyRefused(f'line {number}: a string or an object with "prompt" is needed.')
            yield number, Line(row["prompt"].strip(), _label(number, row.get("label")))


def _csv_lines(text: str) -> Iterator[tuple[int, Line]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        if "prompt" not in (reader.fieldnames or ()):
            raise StudyRefused("line 1: a header with the column “prompt” is needed, and perhaps “label”.")
        for row in reader:
            if (row["prompt"] or "").strip():
                yield reader.line_num, Line(row["prompt"].strip(), _label(reader.line_num, row.get("label")))
    except csv.Error as error:
        raise StudyRefused(f"line {reader.line_num}: this is not CSV ({error}).") from None


def _label(number: int, given: Any) -> int | None:
    """The class of a line; an empty cell is none."""
    if given is None or given == "":
        return None
    if isinstance(given, str) and given.strip().isascii() and given.strip().isdigit() and len(given.strip()) < 7:
        return int(given)
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 10**6:
        return given
    raise StudyRefused(f"line {number}: the label is a class number from 0 (given: {str(given)[:40]}).")


def check_lines(lines: Iterable[tuple[int, Line]]) -> list[Line]:
    """The numbered lines without repetitions. Raises StudyRefused for one too long or with control characters."""
    found: dict[Line, None] = {}
    for number, line in lines:
        _check(line, f"line {number}")
        found[line] = None
        if len(found) > MOST_LINES:
            raise StudyRefused(f"line {number}: at most {MOST_LINES:,} prompts are read.")
    if not found:
        raise StudyRefused("line 1: there is no prompt in it.")
    return list(found)


def _check(line: Line, where: str) -> None:
    if not line.text:
        raise StudyRefused(f"{where}: the prompt is empty.", "prompts")
    if len(line.text) > MOST_CHARACTERS:
        said = f"{where}: the prompt has {len(line.text):,} characters; at most {MOST_CHARACTERS:,}."
        raise StudyRefused(said, "prompts")
    if any(category(character) in ("Cc", "Cs") for character in line.text):
        raise StudyRefused(f"{where}: the prompt holds a control character.", "prompts")


# ---- drawing


def draw_lines(lines: Sequence[Line], number: int, seed: int, *, again: bool = False) -> list[Line]:
    """`number` of the lines in random order, the same for the same seed; each at most once unless `again`.

    Balanced over the classes where the lines have labels: no class has two more than another that could have more.
    Raises StudyRefused where there are too few.
    """
    if len(lines) < number and not again:
        raise StudyRefused(f"{number} prompts are to be drawn, and the list has {len(lines)} different ones.", "number")
    generator = random.Random(f"{seed}:prompts")  # noqa: S311 - a seed, not a secret
    piles: dict[int | None, list[Line]] = {}
    for line in generator.sample(lines, len(lines)):
        piles.setdefault(line.label, []).append(line)
    drawn: list[Line] = []
    turn = 0
    while len(drawn) < number:
        # The classes come in another order each time, so that none has the better chance of the last places.
        for pile in generator.sample(list(piles.values()), len(piles)):
            if turn < len(pile) or again:
                drawn.append(pile[turn % len(pile)])
        turn += 1
    return generator.sample(drawn[:number], number)


# ---- setting


def prompts_draw(
    study: Study, actor: User, lines: Sequence[Line], *, number: int, seed: int, origin: str, again: bool = False
) -> list[Prompt]:
    """Replace the prompts by `number` drawn ones; number and seed become the study's. Raises StudyRefused."""
    asked = copy(study)
    asked.prompts_wanted, asked.seed = number, seed
    check_settings(asked)
    drawn = draw_lines(lines, number, seed, again=again)
    with transaction.atomic():
        study = study_locked(study.pk)
        require_state(study, "prompts can be drawn", StudyState.DRAFT)
        if study.seed != seed:
            drop_images(study, seed__isnull=False)
        study.seed = seed
        study.save(update_fields=["seed"])
        return prompts_set(study, actor, drawn, how=f"drew {number} prompts from {origin}", seed=seed)


def prompts_set(
    study: Study, actor: User, lines: Sequence[Line], *, how: str = "edited the prompts", **detail: Any
) -> list[Prompt]:
    """Replace the prompts, in this order; what changes is kept with what was before.

    A prompt that stays at its place keeps its images. Raises StudyRefused.
    """
    if not 1 <= len(lines) <= MOST_PROMPTS:
        raise StudyRefused(f"A study has 1 to {MOST_PROMPTS} prompts (given: {len(lines)}).", "prompts")
    for position, line in enumerate(lines, start=1):
        _check(line, f"Prompt {position}")
    with transaction.atomic():
        study = study_locked(study.pk)
        require_state(study, "prompts can be changed", StudyState.DRAFT)
        old = list(study.prompts.all())
        changes = _changes(old, lines)
        gone = [prompt for prompt in old if prompt.position in changes]
        drop_images(study, prompt__in=gone)
        Prompt.objects.filter(pk__in=[prompt.pk for prompt in gone]).delete()
        Prompt.objects.bulk_create(
            Prompt(study=study, position=position, text=lines[position].text, label=lines[position].label)
            for position in sorted(changes)
            if position < len(lines)
        )
        study.prompts_wanted = len(lines)
        study.save(update_fields=["prompts_wanted"])
        if changes:
            study_note(study, actor.get_username(), how, changes=list(changes.values()), **detail)
        return list(study.prompts.all())


def _changes(old: Sequence[Prompt], new: Sequence[Line]) -> dict[int, dict[str, Any]]:
    """What differs, by position."""
    before = [Line(prompt.text, prompt.label) for prompt in old]
    found = {}
    for position in range(max(len(before), len(new))):
        was = before[position] if position < len(before) else None
        now = new[position] if position < len(new) else None
        if was != now:
            found[position] = {"prompt": position + 1, "before": was and was._asdict(), "after": now and now._asdict()}
    return found
