"""Laws of the noise level t (paper A.2, B.3, B.5, B.8, B.9)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

import torch
from torch import Tensor

from simcore.config import TimeSpec
from simcore.noise_levels import UNBOUNDED_MAX, UNBOUNDED_MIN, vp_levels


class Law(Protocol):
    """A distribution of t."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """`count` independent values, float32 [count], on the generator's device."""

    def outside(self, low: float, high: float) -> float:
        """The probability that a draw is below `low` or above `high`."""


@dataclass(frozen=True)
class LogNormal:
    """t = exp(s), s ~ N(mean, std²); what falls outside `low` to `high` is drawn again (B.3, B.5, B.9)."""

    mean: float
    std: float
    low: float = 0.0
    high: float = math.inf

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        t = self._draw_untruncated(count, generator)
        while (wrong := (t < self.low) | (t > self.high)).any():
            t[wrong] = self._draw_untruncated(int(wrong.sum()), generator)
        return t

    def _draw_untruncated(self, count: int, generator: torch.Generator) -> Tensor:
        normal = torch.randn(count, generator=generator, device=generator.device)
        return (self.mean + self.std * normal).exp()

    def outside(self, low: float, high: float) -> float:
        first, last = self._untruncated_below(self.low), self._untruncated_below(self.high)
        inner = (min(max(self._untruncated_below(bound), first), last) for bound in (low, high))
        below, above = ((share - first) / (last - first) for share in inner)
        return below + 1 - above

    def _untruncated_below(self, t: float) -> float:
        return NormalDist(self.mean, self.std).cdf(math.log(t)) if t > 0 else 0.0


@dataclass(frozen=True)
class Karras:
    """EDM's sampling levels, the least noisy 80 % of them: SiD's law (B.8).

    t = (σ_min^(1/ρ) + u·(σ_max^(1/ρ) − σ_min^(1/ρ)))^ρ, u ~ U[0, 0.8], so from 0.002 to 24.408. B.8 lacks the exponents
    1/ρ and, read literally, draws the noisiest 80 %; its K = 1000 discrete levels are continuous here.
    """

    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    share: float = 0.8

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        u = self.share * torch.rand(count, generator=generator, device=generator.device)
        first, last = self._ends()
        t: Tensor = (first + u * (last - first)) ** self.rho
        return t

    def outside(self, low: float, high: float) -> float:
        first, last = self._ends()
        below, above = (
            min(max((float(bound ** (1 / self.rho)) - first) / (last - first) / self.share, 0.0), 1.0)
            for bound in (low, high)
        )
        return below + 1 - above

    def _ends(self) -> tuple[float, float]:
        return float(self.sigma_min ** (1 / self.rho)), float(self.sigma_max ** (1 / self.rho))


@dataclass(frozen=True)
class DiscreteUniform:
    """The noise levels of the steps 1, 2, …, steps − 1 of a discrete diffusion, each as likely (A.2)."""

    steps: int

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        levels = torch.tensor(vp_levels(self.steps), device=generator.device)
        return levels[torch.randint(self.steps - 1, (count,), generator=generator, device=generator.device)]

    def outside(self, low: float, high: float) -> float:
        levels = vp_levels(self.steps)
        return sum(not low <= level <= high for level in levels) / len(levels)


def _resolved_discrete_uniform(time: TimeSpec) -> Law:
    if time.steps is None:
        raise ValueError("the specification is not resolved: the steps of law discrete_uniform are empty")
    return DiscreteUniform(time.steps)


LAWS: dict[str, Callable[[TimeSpec], Law]] = {
    "edm": lambda time: LogNormal(-1.2, 1.2),
    "sim": lambda time: LogNormal(-3.5, 2.5),
    "karras": lambda time: Karras(),
    "lognormal": lambda time: LogNormal(time.log_mean, time.log_std, time.low, time.high),
    "discrete_uniform": _resolved_discrete_uniform,
}


class Bounded(Protocol):
    """Anything with a range of noise levels: a denoiser."""

    sigma_min: float
    sigma_max: float


def sigma_range(denoiser: Bounded) -> tuple[float, float]:
    """The denoiser's range of σ, with [0.002, 80] where it is unbounded."""
    low = denoiser.sigma_min if denoiser.sigma_min > 0 else UNBOUNDED_MIN
    high = denoiser.sigma_max if math.isfinite(denoiser.sigma_max) else UNBOUNDED_MAX
    return low, high


def draw_times(time: TimeSpec, count: int, bounds: tuple[float, float], generator: torch.Generator) -> Tensor:
    """Draw `count` noise levels [count] of the law, clamped to `bounds`."""
    return LAWS[time.law](time).draw(count, generator).clamp(*bounds)


def clamped_share(time: TimeSpec, bounds: tuple[float, float]) -> float:
    """The probability that a draw of the law lies outside `bounds`."""
    return LAWS[time.law](time).outside(*bounds)
