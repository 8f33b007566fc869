"""The votes as files: one row a vote, with a data dictionary. Nothing is left out: what does not count is marked."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import QuerySet

from studio.study.models import Exclusion, Participant, Study, Vote

CHUNK = 2_000
DICTIONARY = {
    "vote": "number of this row; rises with time",
    "counts": "yes: in the results unless the participant is excluded or it is an attention check; "
    "no: replaced by the correction named in replaced_by",
    "participant": "number of the participant in the study, from 1, in the order in which they started",
    "excluded": "yes: the participant is left out of the results",
    "exclusion_reason": "why, where excluded",
    "link": "the participant came by: open, the link for all; personal, one that works once",
    "link_note": "for whom the link was made. Only for those who may change the study: take it out before publishing",
    "completion_code": "what the participant was shown at the end; empty where not finished. As link_note",
    "trial": "place of the pair in this participant's order, from 1",
    "prompt": "number of the prompt in the study, from 1",
    "prompt_text": "the prompt as shown",
    "prompt_class": "class asked of class-conditional models, from 0; empty for others",
    "attention_check": "yes: both images are by one arm and one of them is of another prompt; no: an ordinary trial",
    "expected": "right answer of an attention check; empty otherwise",
    "left_arm": "arm whose image was on the left",
    "left_arm_letter": "the same by its letter, A or B",
    "right_arm": "arm whose image was on the right",
    "right_arm_letter": "the same by its letter, A or B",
    "side": "the answer: left, right, or none for no preference",
    "chosen_arm": "arm whose image was chosen; empty for no preference and for attention checks",
    "chosen_arm_letter": "the same by its letter, A or B",
    "seconds": "from first showing the pair to the answer, by the server's clock; empty where unknown",
    "shown_at": "when the pair was first shown, ISO 8601",
    "voted_at": "when this row was made, ISO 8601",
    "replaces": "vote that this row corrects; empty for what the participant answered",
    "replaced_by": "vote that corrects this row; empty where there is none",
    "corrected_by": "who made the correction; empty for what the participant answered",
    "correction_reason": "why, of a correction",
}
# Spreadsheets run what begins with these.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def votes_csv(study: Study, *, private: bool = False) -> Iterator[bytes]:
    """Header and rows. Texts that a spreadsheet would run as a formula begin with an apostrophe."""
    writer = csv.writer(_Line())
    yield writer.writerow(DICTIONARY).encode()
    for row in vote_rows(study, private=private):
        yield writer.writerow([guarded(row[name]) for name in DICTIONARY]).encode()


def dictionary_csv() -> str:
    """What the columns mean."""
    writer = csv.writer(_Line())
    rows = [("column", "meaning"), *DICTIONARY.items()]
    return "".join(writer.writerow(row) for row in rows)


def votes_json(study: Study, *, private: bool = False) -> Iterator[bytes]:
    """One object: `study`, `dictionary`, and `votes` with the CSV's columns; empty is null, yes and no are booleans."""
    head = json.dumps({"study": _facts(study), "dictionary": DICTIONARY}, ensure_ascii=False, indent=1)
    yield head.removesuffix("\n}").encode() + b',\n "votes": ['
    between = "\n"
    for row in vote_rows(study, private=private):
        values = {name: None if value == "" else value for name, value in row.items()}
        yield f"{between}  {json.dumps(values, ensure_ascii=False)}".encode()
        between = ",\n"
    yield b"\n ]\n}\n"


def guarded(value: Any) -> Any:
    """A CSV cell: booleans as yes and no, formulas as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def vote_rows(study: Study, page: Iterable[Vote] | None = None, *, private: bool = False) -> Iterator[dict[str, Any]]:
    """Every vote, or those of a page of `votes_in_order`, with DICTIONARY's columns; empty is an empty text.

    `private`: with what could tell who somebody is; for those who may change the study.
    """
    excluded = dict(
        Exclusion.objects.filter(participant__study=study, lifted_at=None).values_list("participant_id", "reason")
    )
    for vote in votes_in_order(study).iterator(CHUNK) if page is None else page:
        yield _row(vote, excluded) | _who(vote.trial.participant, private)


def votes_in_order(study: Study) -> QuerySet[Vote]:
    """Every vote by participant, trial and time, with what its row tells."""
    votes = Vote.objects.filter(trial__participant__study=study).order_by(
        "trial__participant__number", "trial__position", "pk"
    )
    related = (
        "trial__participant__link",
        "trial__prompt",
        "trial__left__arm",
        "trial__right__arm",
        "replaced_by",
        "by",
    )
    return votes.select_related(*related)


def _who(person: Participant, private: bool) -> dict[str, str]:
    return {
        "link": "personal" if person.link.personal else "open",
        "link_note": person.link.note if private else "",
        "completion_code": person.completion_code if private else "",
    }


def _row(vote: Vote, excluded: dict[int, str]) -> dict[str, Any]:
    trial = vote.trial
    left, right = trial.left.arm, trial.right.arm
    chosen = None if trial.is_check else {"left": left, "right": right}.get(vote.side)
    correction = getattr(vote, "replaced_by", None)
    return {
        "vote": vote.pk,
        "counts": correction is None,
        "participant": trial.participant.number,
        "excluded": trial.participant_id in excluded,
        "exclusion_reason": excluded.get(trial.participant_id, ""),
        "trial": trial.position + 1,
        "prompt": trial.prompt.position + 1,
        "prompt_text": trial.prompt.text,
        "prompt_class": _or_empty(trial.prompt.label),
        "attention_check": trial.is_check,
        "expected": trial.expected,
        "left_arm": left.label,
        "left_arm_letter": left.letter,
        "right_arm": right.label,
        "right_arm_letter": right.letter,
        "side": vote.side,
        "chosen_arm": chosen.label if chosen else "",
        "chosen_arm_letter": chosen.letter if chosen else "",
        "seconds": _or_empty(vote.seconds),
        "shown_at": trial.shown_at.isoformat() if trial.shown_at else "",
        "voted_at": vote.at.isoformat(),
        "replaces": _or_empty(vote.replaces_id),
        "replaced_by": correction.pk if correction else "",
        "corrected_by": vote.by.get_username() if vote.by else "",
        "correction_reason": vote.reason,
    }


def _or_empty(value: Any) -> Any:
    return "" if value is None else value


def _facts(study: Study) -> dict[str, Any]:
    return {
        "number": study.pk,
        "title": study.title,
        "state": study.state,
        "question": study.question,
        "arms": [arm.label for arm in study.arms.all()],
        "seed": study.seed,
        "participants_wanted": study.participants_wanted,
        "started": study.started,
        "no_preference_offered": study.no_preference,
        "opened_at": study.opened_at.isoformat() if study.opened_at else None,
        "closed_at": study.closed_at.isoformat() if study.closed_at else None,
    }


class _Line:
    """A file of which csv gives every line back."""

    def write(self, line: str) -> str:
        return line
