"""The noise levels that each preconditioning knows (EDM, Table 1). Torch-free."""

from __future__ import annotations

import math
from typing import Any

UNBOUNDED_MIN, UNBOUNDED_MAX = 0.002, 80.0
BETA_D, BETA_MIN = 19.9, 0.1
VE_RANGE = 0.02, 100.0


def vp_sigma(t: float) -> float:
    """σ(t) = √(exp(βd·t²/2 + βmin·t) − 1)."""
    return math.sqrt(math.expm1(BETA_D * t**2 / 2 + BETA_MIN * t))


def vp_levels(steps: int) -> list[float]:
    """The noise levels σ(t/T) of the steps t = 1, …, T − 1 of a discrete diffusion, T = `steps`.

    In variance-preserving form x_t = α_t·x_0 + σ_t·ε with α_t = 1/√(1 + σ²), σ_t = σ·α_t; here x_t/α_t = x_0 + σ·ε.
    """
    return [vp_sigma(t / steps) for t in range(1, steps)]


VP_RANGE = vp_sigma(1e-5), vp_sigma(1.0)


def iddpm_levels(count: int = 1000) -> list[float]:
    """u_0 > … > u_M = 0 with M = `count`: u_(j−1)² = (u_j² + 1)/max(ᾱ(j−1)/ᾱ(j), 0.001) − 1."""

    def alpha(j: int) -> float:
        return math.sin(math.pi * j / (2 * count * 1.008)) ** 2

    levels = [0.0]
    for j in range(count, 0, -1):
        levels.append(math.sqrt((levels[-1] ** 2 + 1) / max(alpha(j - 1) / alpha(j), 0.001) - 1))
    return levels[::-1]


def teacher_sigma_range(config: dict[str, Any]) -> tuple[float, float]:
    """(σ_min, σ_max) of a teacher's configuration, [0.002, 80] where its preconditioning is unbounded."""
    match config.get("preconditioning"):
        case "VPPrecond":
            return VP_RANGE
        case "discrete_vp":
            levels = vp_levels(int(config["steps"]))
            return levels[0], levels[-1]
        case "VEPrecond":
            return VE_RANGE
        case "iDDPMPrecond":
            levels = iddpm_levels()
            return levels[-2], levels[0]
        case _:
            return UNBOUNDED_MIN, UNBOUNDED_MAX
