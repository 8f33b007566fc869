"""Space under the data folder."""

from __future__ import annotations

import shutil

from django.conf import settings

from studio.pool.needs import gib

# Runs go on when there is this much more than the reserve: a run that pauses and goes on at the same mark would flap.
HYSTERESIS = 1.25


def free_bytes() -> int:
    """What is free for the studio's files."""
    return shutil.disk_usage(settings.DATA).free


def disk_problem() -> str:
    """Why nothing is started now; empty where there is space."""
    return shortage(free_bytes())


def shortage(free: int) -> str:
    """Less than the reserve is free."""
    if free >= settings.DISK_RESERVE:
        return ""
    return f"the disk is nearly full: {gib(free)} free, {gib(settings.DISK_RESERVE)} are kept in reserve"


def has_recovered(free: int) -> bool:
    """Enough is free again to go on."""
    return free >= settings.DISK_RESERVE * HYSTERESIS
