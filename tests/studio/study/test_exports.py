"""The files of votes: complete, explained, harmless, and enough to recompute the page."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from django.test import Client

from studio.accounts.models import Role
from studio.study.amendments import participant_exclude, vote_correct
from studio.study.models import Link, Prompt, Vote
from studio.study.results import study_results
from studio.study.statistics.answers import Answer
from studio.study.statistics.summary import summarise
from tests.studio.study.builders import participate, study_with


def body(response: Any) -> str:
    async def gather() -> bytes:
        return b"".join([part async for part in response.streaming_content])

    from asgiref.sync import async_to_sync

    return (async_to_sync(gather)() if response.streaming else response.content).decode()


def csv_rows(client: Client, study: Any, name: str = "export.csv") -> list[dict[str, str]]:
    response = client.get(f"/studies/{study.pk}/{name}")
    assert response["Content-Disposition"].startswith("attachment; filename=")
    return list(csv.DictReader(io.StringIO(body(response), newline="")))


def some_study(user: Any) -> Any:
    """Votes of every kind: no preference, checks, an exclusion, corrections, somebody who stopped."""
    study = study_with(user, prompts=6, no_preference=True, checks=2)
    participate(study, "0101-0", checks="++", seconds=3.25)
    participate(study, "110011", checks="+x")
    participant_exclude(participate(study, "000000", seconds=0.5), user, "too fast")
    participate(study, "10-...")
    vote = Vote.objects.get(trial__participant__number=1, trial__position=2)
    vote_correct(vote_correct(vote, "none", user, "a slip"), "right", user, "no, this")
    return study


def answers_of(rows: list[dict[str, str]]) -> list[Answer]:
    """What a reader makes of the CSV by its dictionary."""
    return [
        Answer(
            int(row["participant"]), int(row["prompt"]) - 1, "AB".index(row["left_arm_letter"]), row["side"],
            float(row["seconds"]) if row["seconds"] else None,
        )
        for row in rows
        if row["counts"] == "yes" and row["attention_check"] == "no"
    ]  # fmt: skip


def test_the_table_on_the_page_can_be_recomputed_from_the_export(ada: Client, user: Any) -> None:
    study = some_study(user)
    rows, results = csv_rows(ada, study), study_results(study)
    everyone = answers_of(rows)
    kept = answers_of([row for row in rows if row["excluded"] == "no"])
    assert summarise(everyone, arm=0, seed=study.seed) == results.everyone
    assert summarise(kept, arm=0, seed=study.seed) == results.kept
    chosen = [row["chosen_arm"] for row in rows if row["counts"] == "yes" and row["excluded"] == "no"]
    assert (chosen.count("teacher"), chosen.count("student")) == (results.kept.tally.wins, results.kept.tally.losses)
    letters = [row["chosen_arm_letter"] for row in rows if row["counts"] == "yes" and row["excluded"] == "no"]
    assert letters == [{"teacher": "A", "student": "B", "": ""}[label] for label in chosen]
    text = ada.get(f"/studies/{study.pk}/results/").content.decode()
    assert str(results.kept.headline) in text
    assert str(results.everyone.wilson) in text


def test_every_vote_is_a_row_and_what_was_amended_is_marked(ada: Client, user: Any) -> None:
    study = some_study(user)
    rows = csv_rows(ada, study)
    assert len(rows) == Vote.objects.count() == 8 + 8 + 6 + 3 + 2
    first, second, third = (row for row in rows if row["participant"] == "1" and row["trial"] == "3")
    assert (first["counts"], first["replaced_by"], first["corrected_by"]) == ("no", second["vote"], "")
    assert (second["counts"], second["replaces"], second["correction_reason"]) == ("no", first["vote"], "a slip")
    assert (third["counts"], third["side"], third["corrected_by"]) == ("yes", "right", "ada")
    assert third["seconds"] == "3.25"
    assert {row["exclusion_reason"] for row in rows if row["excluded"] == "yes"} == {"too fast"}
    checks = [row for row in rows if row["attention_check"] == "yes"]
    assert [(row["expected"], row["side"], row["chosen_arm"]) for row in checks] == [
        ("left", "left", ""), ("left", "left", ""), ("left", "left", ""), ("left", "right", ""),
    ]  # fmt: skip


def test_the_link_and_the_code_are_for_those_who_may_change_the_study(
    ada: Client, user: Any, django_user_model: Any
) -> None:
    study = study_with(user, prompts=1)
    participate(study, "0")
    person = participate(study, "1")
    person.link = Link.objects.create(study=study, personal=True, cap=1, used=1, note="=Grace")
    person.completion_code = "WXYZ-2345"
    person.save()
    viewer = Client()
    viewer.force_login(django_user_model.objects.create_user("vic", role=Role.VIEWER))

    def who(rows: Any) -> list[tuple[str, ...]]:
        return [(row["link"], row["link_note"], row["completion_code"]) for row in rows]

    assert who(csv_rows(ada, study)) == [("open", "", "CODE"), ("personal", "'=Grace", "WXYZ-2345")]
    assert who(csv_rows(viewer, study)) == [("open", "", ""), ("personal", "", "")]
    address = f"/studies/{study.pk}/export.json"
    assert who(json.loads(body(ada.get(address)))["votes"])[1] == ("personal", "=Grace", "WXYZ-2345")
    assert who(json.loads(body(viewer.get(address)))["votes"])[1] == ("personal", None, None)


def test_json_and_csv_say_the_same_and_the_dictionary_explains_every_column(ada: Client, user: Any) -> None:
    study = some_study(user)
    rows = csv_rows(ada, study)
    document = json.loads(body(ada.get(f"/studies/{study.pk}/export.json")))

    def as_text(value: Any) -> str:
        return "" if value is None else {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)

    assert [{name: as_text(value) for name, value in vote.items()} for vote in document["votes"]] == rows
    assert list(document["dictionary"]) == list(rows[0])
    assert {row["column"]: row["meaning"] for row in csv_rows(ada, study, "columns.csv")} == document["dictionary"]
    assert document["study"]["arms"] == ["teacher", "student"]


def test_a_study_without_votes_exports_a_header(ada: Client, user: Any) -> None:
    study = study_with(user, prompts=2)
    assert csv_rows(ada, study) == []
    assert json.loads(body(ada.get(f"/studies/{study.pk}/export.json")))["votes"] == []


def test_texts_that_a_spreadsheet_would_run_are_defused(ada: Client, user: Any) -> None:
    texts = ["=cmd|'/c calc'!A1", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "a = b", 'with "quotes", and\nlines']
    study = study_with(user, prompts=len(texts), labels=("=A", "student"))
    for prompt, text in zip(Prompt.objects.filter(study=study), texts, strict=True):
        prompt.text = text
        prompt.save()
    participate(study, "0" * len(texts))
    rows = csv_rows(ada, study)
    assert [row["prompt_text"] for row in rows] == [f"'{text}" for text in texts[:5]] + texts[5:]
    assert {row["chosen_arm"] for row in rows} == {"'=A"}
    votes = json.loads(body(ada.get(f"/studies/{study.pk}/export.json")))["votes"]
    assert [vote["prompt_text"] for vote in votes] == texts
