"""Everything that a study's votes say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from studio.study.statistics.agreement import agreement
from studio.study.statistics.answers import Answer, matrix, tally
from studio.study.statistics.bootstrap import crossed_bootstrap
from studio.study.statistics.figures import Agreement, ExactTest, Interval, NotEnough, Tally
from studio.study.statistics.shares import exact_test, wilson


@dataclass(frozen=True)
class Part:
    """The votes of one prompt or of one participant."""

    tally: Tally
    left: Tally  # wins: votes for the left side; those without a preference are left out
    seconds: float | None  # median


@dataclass(frozen=True)
class SideBias:
    """Do people prefer a side? The arm's tally where it was left, and right.

    `left`: wins are votes for the left. Share, `interval` and `test` are all of the votes with a preference.
    """

    left: Tally
    interval: Interval | NotEnough
    test: ExactTest | NotEnough
    arm_left: Tally
    arm_right: Tally

    @property
    def suspicious(self) -> bool:
        """The test rejects at 5 %."""
        return isinstance(self.test, ExactTest) and self.test.p < 0.05


@dataclass(frozen=True)
class Summary:
    """One arm against the other. `headline`: the crossed bootstrap; `wilson` and `test` take votes as independent."""

    arm: int
    participants: int
    tally: Tally
    headline: Interval | NotEnough
    wilson: Interval | NotEnough
    test: ExactTest | NotEnough
    bias: SideBias
    agreement: Agreement | NotEnough
    seconds: float | None  # median of all votes
    prompts: dict[int, Part]
    people: dict[int, Part]


def summarise(answers: Sequence[Answer], *, arm: int, seed: int) -> Summary:
    """One vote per participant and prompt, at most; `seed` is the study's."""
    counts = tally(answers, arm)
    scores = matrix(answers, arm)
    return Summary(
        arm=arm,
        participants=scores.shape[0],
        tally=counts,
        headline=crossed_bootstrap(scores, [seed, arm]) if answers else NotEnough("nobody has voted"),
        wilson=wilson(counts),
        test=exact_test(counts),
        bias=side_bias(answers, arm),
        agreement=agreement(scores),
        seconds=median_seconds(answers),
        prompts=parts_by(answers, arm, "prompt"),
        people=parts_by(answers, arm, "participant"),
    )


def side_bias(answers: Sequence[Answer], arm: int) -> SideBias:
    """The left's share of votes with a preference, tested exactly; sides are balanced: no arm makes it."""
    left = left_tally(answers)
    return SideBias(
        left=left,
        interval=wilson(left) if left.votes else NotEnough("nobody has preferred either"),
        test=exact_test(left),
        arm_left=tally([answer for answer in answers if answer.left == arm], arm),
        arm_right=tally([answer for answer in answers if answer.left != arm], arm),
    )


def left_tally(answers: Sequence[Answer]) -> Tally:
    """Votes for the left side and for the right one; no preference is neither and is left out."""
    sides = [answer.side for answer in answers]
    return Tally(sides.count("left"), sides.count("right"), 0)


def median_seconds(answers: Sequence[Answer]) -> float | None:
    """None where no time is known."""
    times = [answer.seconds for answer in answers if answer.seconds is not None]
    return median(times) if times else None


def parts_by(answers: Sequence[Answer], arm: int, by: Literal["prompt", "participant"]) -> dict[int, Part]:
    """The votes of each prompt or participant, in rising order."""
    groups: dict[int, list[Answer]] = defaultdict(list)
    for answer in answers:
        groups[getattr(answer, by)].append(answer)
    return {number: _part(group, arm) for number, group in sorted(groups.items())}


def _part(answers: Sequence[Answer], arm: int) -> Part:
    return Part(tally(answers, arm), left_tally(answers), median_seconds(answers))
