"""Prompts: read from lists, drawn with a seed, edited with a trace."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from studio.study.arms import arm_set, class_lines
from studio.study.lifecycle import StudyRefused, StudyState
from studio.study.models import Study, StudyEvent
from studio.study.pictures import live_images
from studio.study.prompts import Line, built_in, draw_lines, prompts_draw, prompts_set, read_list, read_typed
from studio.study.services import study_create
from studio.study.storage import image_path
from tests.studio.study.builders import archive_of, draft_study, review_study, upload


@pytest.fixture
def study(user: Any) -> Study:
    return study_create(owner=user, title="Which is better?")


def test_the_built_in_list_has_the_papers_three_prompts_and_many_others() -> None:
    lines = built_in()
    assert lines[0].text == "A small cactus with a happy face in the Sahara desert."
    assert lines[2].text == "Baby playing with toys in the snow."
    assert len(set(lines)) == len(lines) >= 63
    assert read_typed("\n".join(line.text for line in lines)) == lines, "each is a prompt that people could type"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.txt", "\ufeffa cat\n\n  a dog, asleep \na cat\n"),
        ("list.jsonl", '"a cat"\n{"prompt": "a dog, asleep", "label": null, "author": "ada"}\n'),
        ("LIST.CSV", 'author,prompt\nada,a cat\nada,"a dog, asleep"\n'),
    ],
)
def test_lists_are_read_in_three_kinds(name: str, content: str) -> None:
    assert read_list(name, content.encode()) == [Line("a cat"), Line("a dog, asleep")]


def test_other_alphabets_emoji_and_odd_spaces_are_text() -> None:
    odd = "ein Fuchs\u00a0im Schnee 👩\u200d🚀 \u2028 猫"
    assert read_list("a.jsonl", json.dumps(odd, ensure_ascii=False).encode()) == [Line(odd)]
    assert read_list("a.txt", f"{odd}\r\na cat\r\n".encode()) == [Line(odd), Line("a cat")]


def test_lists_may_carry_classes() -> None:
    assert read_list("a.csv", b"prompt,label\na cat,3\na dog,\n") == [Line("a cat", 3), Line("a dog")]
    assert read_list("a.jsonl", b'{"prompt": "a cat", "label": 3}') == [Line("a cat", 3)]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("list.pdf", b"a cat", "list.pdf is of no kind"),
        ("list.txt", b"a cat\n\xff", "list.txt, line 2: this is not UTF-8"),
        ("list.txt", b"\n\n", "there is no prompt"),
        ("list.txt", b"fine\n" + b"x" * 2001, "line 2: the prompt has 2,001 characters"),
        ("list.txt", b"fine\na\x00b", "line 2: the prompt holds a control character"),
        ("list.txt", b"x" * (10 << 20) + b"y", "at most 10,485,760"),
        ("list.jsonl", b'"fine"\n{', "list.jsonl, line 2: this is not JSON"),
        ("list.jsonl", b'{"text": "a"}', 'line 1: a string or an object with "prompt"'),
        ("list.jsonl", b"[" * 100_000, "line 1: this is not JSON"),
        ("list.jsonl", b'{"prompt": "a", "label": -1}', "line 1: the label is a class number"),
        ("list.jsonl", b'{"prompt": "a", "label": true}', "line 1: the label is a class number"),
        ("list.csv", b"text\na\n", "line 1: a header"),
        ("list.csv", b"prompt,label\na,cat\n", "line 2: the label is a class number"),
        ("list.csv", b'prompt\nfine\n"' + b"x" * 200_000, "this is not CSV"),
    ],
)
def test_a_bad_list_is_refused_with_the_line(name: str, content: bytes, said: str) -> None:
    with pytest.raises(StudyRefused) as refusal:
        read_list(name, content)
    assert said in str(refusal.value)


def test_drawing_is_settled_by_its_seed() -> None:
    lines = built_in()
    drawn = draw_lines(lines, 17, seed=1)
    assert drawn == draw_lines(lines, 17, seed=1)
    assert drawn != draw_lines(lines, 17, seed=2)
    assert len(set(drawn)) == 17
    assert set(drawn) <= set(lines)


def test_drawing_is_balanced_over_classes() -> None:
    digits = [Line(f"the digit {number}", number) for number in range(10)]
    counts = Counter(Counter(line.label for line in draw_lines(digits, 17, seed, again=True)).most_common(1)[0][0]
                     for seed in range(300))  # fmt: skip
    for seed in range(20):
        shares = Counter(line.label for line in draw_lines(digits, 17, seed, again=True))
        assert sorted(shares.values()) == [1] * 3 + [2] * 7
    assert len(counts) == 10, "each class has its chance of the additional places"
    uneven = [Line("only one", 0), *(Line(f"many {number}", 1) for number in range(9))]
    assert Counter(line.label for line in draw_lines(uneven, 5, 0)) == {0: 1, 1: 4}


def test_more_than_there_are_cannot_be_drawn() -> None:
    with pytest.raises(StudyRefused, match="the list has 2 different ones"):
        draw_lines([Line("a"), Line("b")], 3, seed=0)


@pytest.mark.parametrize(("number", "seed"), [(0, 1), (10**9, 1), (3, -1), (3, 2**63)])
def test_numbers_out_of_bounds_draw_nothing(study: Study, user: Any, number: int, seed: int) -> None:
    with pytest.raises(StudyRefused):
        prompts_draw(study, user, built_in(), number=number, seed=seed, origin="the built-in list", again=True)
    study.refresh_from_db()
    assert (study.prompts.count(), study.prompts_wanted, study.seed) == (0, 17, 0)


def test_drawn_prompts_become_the_studys_with_their_number_and_seed(study: Study, user: Any) -> None:
    prompts_draw(study, user, built_in(), number=5, seed=9, origin="the built-in list")
    study.refresh_from_db()
    assert (study.prompts_wanted, study.seed) == (5, 9)
    assert [prompt.text for prompt in study.prompts.all()] == [line.text for line in draw_lines(built_in(), 5, 9)]
    assert StudyEvent.objects.first().what == "drew 5 prompts from the built-in list"  # type: ignore[union-attr]


def test_an_edit_is_traced_with_what_was_before_and_keeps_the_order(study: Study, user: Any) -> None:
    prompts_set(study, user, [Line("a"), Line("b"), Line("c")])
    first = study.prompts.get(position=0)
    prompts_set(study, user, [Line("a"), Line("B", 1)])
    assert [(prompt.text, prompt.label) for prompt in study.prompts.all()] == [("a", None), ("B", 1)]
    assert study.prompts.get(position=0) == first, "what did not change stays the same row"
    event = StudyEvent.objects.filter(study=study).first()
    assert event is not None
    assert (event.actor, event.what) == ("ada", "edited the prompts")
    assert event.detail["changes"] == [
        {"prompt": 2, "before": {"text": "b", "label": None}, "after": {"text": "B", "label": 1}},
        {"prompt": 3, "before": {"text": "c", "label": None}, "after": None},
    ]
    json.dumps(event.detail)
    events = StudyEvent.objects.count()
    prompts_set(study, user, [Line("a"), Line("B", 1)])
    assert StudyEvent.objects.count() == events, "nothing changed, nothing to trace"


@pytest.mark.django_db(transaction=True)
def test_the_images_of_a_changed_prompt_go_and_the_others_stay(user: Any) -> None:
    study = draft_study(user, prompts=2)
    upload(study, user, 0, archive_of(2))
    kept, gone = live_images(study)
    prompts_set(study, user, [Line("prompt 1"), Line("another")])
    assert list(live_images(study)) == [kept]
    assert image_path(kept).is_file()
    assert not image_path(gone).exists()


@pytest.mark.parametrize("lines", [[], [Line("a")] * 201, [Line("")], [Line("a\nb")], [Line("a\0")]])
def test_what_is_no_set_of_prompts_changes_nothing(study: Study, user: Any, lines: list[Line]) -> None:
    prompts_set(study, user, [Line("a")])
    with pytest.raises(StudyRefused):
        prompts_set(study, user, lines)
    assert [prompt.text for prompt in study.prompts.all()] == ["a"]


def test_prompts_change_in_a_draft_only(user: Any) -> None:
    study = review_study(user)
    assert study.state == StudyState.REVIEW
    with pytest.raises(StudyRefused, match="in review: prompts can be changed while it is draft"):
        prompts_set(study, user, [Line("a")])


def test_class_names_come_from_the_arms(study: Study, user: Any, teacher: Any) -> None:
    assert class_lines(study) == []
    arm_set(study, user, position=0, kind="teacher", teacher=teacher)
    assert class_lines(study) == [Line(f"the digit {number}", number) for number in range(10)]
