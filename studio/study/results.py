"""A study's results: from its rows to its statistics, with a constant number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q

from studio.study.flags import flags_of
from studio.study.lifecycle import StudyState
from studio.study.models import Arm, Exclusion, Link, Participant, Prompt, Study, Vote
from studio.study.statistics.answers import Answer
from studio.study.statistics.figures import Interval, NotEnough, Tally
from studio.study.statistics.power import votes_needed
from studio.study.statistics.shares import wilson
from studio.study.statistics.summary import Part, Summary, parts_by, summarise

NO_VOTES = Part(Tally(0, 0, 0), Tally(0, 0, 0), None)


@dataclass(frozen=True)
class PersonRow:
    """One participant. `part` holds their votes, whether they are excluded or not."""

    number: int
    finished: bool
    answered: int
    trials: int
    part: Part
    checks: tuple[bool, ...]  # each attention check that was answered: was it right?
    flags: tuple[str, ...]
    exclusion: Exclusion | None
    link: Link
    code: str  # of completion; empty where not finished

    @property
    def passed(self) -> int:
        """Attention checks answered right."""
        return self.checks.count(True)


@dataclass(frozen=True)
class Bar:
    """A share and its interval in percent, as widths of a drawing."""

    share: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """Of the interval."""
        return round(self.high - self.low, 2)


@dataclass(frozen=True)
class PromptRow:
    """One prompt, and the votes on it that count."""

    number: int
    text: str
    part: Part
    interval: Interval | NotEnough

    @property
    def bar(self) -> Bar | None:
        """None where nobody has voted."""
        return _bar(self.part.tally, self.interval)


@dataclass(frozen=True)
class Needed:
    """The sample-size meter: the votes with a preference that a true share of `share` to the rest needs."""

    share: int
    votes: int
    have: int

    @property
    def rest(self) -> int:
        """As in 60 to 40."""
        return 100 - self.share

    @property
    def missing(self) -> int:
        """0 once there are enough."""
        return max(0, self.votes - self.have)


@dataclass(frozen=True)
class Results:
    """`kept` counts everybody but the excluded, `everyone` all. `arm` is the one whose share is told.

    `corrections`: of votes that count, not of attention checks or of the excluded.
    """

    study: Study
    arm: Arm
    other: Arm
    kept: Summary
    everyone: Summary
    people: list[PersonRow]
    prompts: list[PromptRow]
    needed: list[Needed]
    corrections: int

    @property
    def bar(self) -> Bar | None:
        """The headline; None where there is no interval."""
        return _bar(self.kept.tally, self.kept.headline)

    @property
    def excluded(self) -> list[PersonRow]:
        """Who is left out."""
        return [person for person in self.people if person.exclusion]

    @property
    def finished(self) -> int:
        """How many answered everything and count."""
        return sum(person.finished and not person.exclusion for person in self.people)

    @property
    def peeking(self) -> bool:
        """Short of the target: looking, and stopping or having stopped when it looks good, inflates significance."""
        states = (StudyState.OPEN, StudyState.CLOSED)
        return self.study.state in states and self.finished < self.study.participants_wanted


def study_results(study: Study) -> Results:
    """Of the votes that count: the newest of each trial, without attention checks. Seven queries."""
    arm, other = arms_in_order(study)
    answers, checks = counting_votes(study)
    exclusions = _exclusions(study)
    kept = [answer for answer in answers if answer.participant not in exclusions]
    everyone = summarise(answers, arm=arm.position, seed=study.seed)
    summary = summarise(kept, arm=arm.position, seed=study.seed) if exclusions else everyone
    return Results(
        study=study,
        arm=arm,
        other=other,
        kept=summary,
        everyone=everyone,
        people=_people(study, answers, checks, everyone.people, exclusions),
        prompts=[_prompt(prompt, summary) for prompt in Prompt.objects.filter(study=study)],
        needed=[Needed(share, votes_needed(share / 100), summary.tally.decided) for share in (60, 55)],
        corrections=_corrections(study, exclusions),
    )


def study_people(study: Study) -> list[PersonRow]:
    """Who took part, without the statistics of the whole. Raises Arm.DoesNotExist while the study has not both arms."""
    arm, _ = arms_in_order(study)
    answers, checks = counting_votes(study)
    parts = parts_by(answers, arm.position, "participant")
    return _people(study, answers, checks, parts, _exclusions(study))


def _bar(tally: Tally, interval: Interval | NotEnough) -> Bar | None:
    if isinstance(interval, NotEnough):
        return None
    return Bar(*(round(100 * value, 2) for value in (tally.share, interval.low, interval.high)))


def arms_in_order(study: Study) -> tuple[Arm, Arm]:
    """The arm whose share is told, then the other: the first student; where there is none, the first arm.

    Raises Arm.DoesNotExist while the study has not both.
    """
    arms = list(study.arms.all())
    if len(arms) < 2:
        raise Arm.DoesNotExist("The study has not two arms yet.")
    first = next((arm for arm in arms if arm.kind == Arm.Kind.CHECKPOINT), arms[0])
    return first, arms[1 - first.position]


def counting_votes(study: Study) -> tuple[list[Answer], dict[int, list[bool]]]:
    """The answers in the order of participants and trials; and of attention checks, by participant: was it right?"""
    rows = Vote.objects.filter(trial__participant__study=study, replaced_by__isnull=True).order_by(
        "trial__participant__number", "trial__position"
    )
    answers: list[Answer] = []
    checks: dict[int, list[bool]] = defaultdict(list)
    for number, prompt, left, side, seconds, expected in rows.values_list(
        "trial__participant__number", "trial__prompt__position", "trial__left__arm__position", "side", "seconds",
        "trial__expected",
    ):  # fmt: skip
        if expected:
            checks[number].append(side == expected)
        else:
            answers.append(Answer(number, prompt, left, side, seconds))
    return answers, checks


def _exclusions(study: Study) -> dict[int, Exclusion]:
    """Those in force, by the participant's number."""
    rows = Exclusion.objects.filter(participant__study=study, lifted_at=None).select_related("participant", "by")
    return {row.participant.number: row for row in rows}


def _corrections(study: Study, exclusions: dict[int, Exclusion]) -> int:
    rows = Vote.objects.filter(trial__participant__study=study, trial__expected="", replaces__isnull=False)
    return rows.exclude(trial__participant__number__in=exclusions).count()


def _prompt(prompt: Prompt, summary: Summary) -> PromptRow:
    part = summary.prompts.get(prompt.position, NO_VOTES)
    return PromptRow(prompt.position + 1, prompt.text, part, wilson(part.tally))


def _people(
    study: Study,
    answers: Sequence[Answer],
    checks: dict[int, list[bool]],
    parts: dict[int, Part],
    exclusions: dict[int, Exclusion],
) -> list[PersonRow]:
    theirs: dict[int, list[Answer]] = defaultdict(list)
    for answer in answers:
        theirs[answer.participant].append(answer)
    asked = Count("trials", filter=Q(trials__expected=""))
    people: Any = Participant.objects.filter(study=study).select_related("link").annotate(asked=asked)
    return [
        PersonRow(
            number=person.number,
            finished=person.finished_at is not None,
            answered=len(theirs[person.number]),
            trials=person.asked,
            part=parts.get(person.number, NO_VOTES),
            checks=tuple(checks.get(person.number, ())),
            flags=flags_of(theirs[person.number], checks.get(person.number, ())),
            exclusion=exclusions.get(person.number),
            link=person.link,
            code=person.completion_code,
        )
        for person in people
    ]
