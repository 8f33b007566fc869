"""What the statistics give: figures that say themselves, or why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class NotEnough:
    """The votes do not allow this figure."""

    why: str

    def __str__(self) -> str:
        return f"not enough votes: {self.why}"

    @property
    def flipped(self) -> NotEnough:
        """As little for the rest."""
        return self


@dataclass(frozen=True)
class Interval:
    """A 95 % interval of a share, both in [0, 1]."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.low:.1f}–{100 * self.high:.1f} %"

    @property
    def flipped(self) -> Interval:
        """Of the rest."""
        return Interval(1 - self.high, 1 - self.low)


@dataclass(frozen=True)
class ExactTest:
    """The two-sided exact binomial test of one half: `successes` of `trials`."""

    successes: int
    trials: int
    p: float

    def __str__(self) -> str:
        return "p < 0.001" if self.p < 0.001 else f"p = {self.p:.3f}"


@dataclass(frozen=True)
class Agreement:
    """Krippendorff's α: 1 is perfect, 0 what chance gives."""

    alpha: float

    def __str__(self) -> str:
        return f"{self.alpha:.2f}".replace("-", "−")


@dataclass(frozen=True)
class Tally:
    """How often one arm was chosen, the other, and neither."""

    wins: int
    losses: int
    none: int

    @property
    def votes(self) -> int:
        """All of them."""
        return self.wins + self.losses + self.none

    @property
    def decided(self) -> int:
        """Those with a preference."""
        return self.wins + self.losses

    @property
    def share(self) -> float:
        """Of the votes, with “no preference” split evenly; NaN without votes."""
        return (self.wins + self.none / 2) / self.votes if self.votes else math.nan

    @property
    def percent(self) -> str:
        """The share for people."""
        return f"{100 * self.share:.1f} %" if self.votes else "–"

    @property
    def flipped(self) -> Tally:
        """Of the other arm."""
        return Tally(self.losses, self.wins, self.none)
