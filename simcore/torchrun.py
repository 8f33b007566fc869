"""torchrun: starting it, and what it tells the processes that it starts. Torch-free."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import NoReturn


@dataclass(frozen=True)
class Place:
    """A process's place among a run's processes; alone where torchrun did not start it."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0


def place() -> Place | None:
    """This process's place; None where torchrun did not start it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    return Place(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))


def become_torchrun(processes: int) -> NoReturn:
    """Replace this process by torchrun, which starts the same command `processes` times on this machine."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # torchrun's own default, said here so that it need not warn
    # Without a folder for its logs it leaves a temporary one behind; nothing is logged there.
    logs = f"--log-dir={os.devnull}"
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", logs]
    os.execv(sys.executable, [sys.executable, *torchrun, "-m", "simcore", *sys.argv[1:]])  # noqa: S606
