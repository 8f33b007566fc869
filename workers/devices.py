"""The devices of this machine: the CPU always, and the GPUs that `nvidia-smi` lists. No torch, no CUDA context."""

from __future__ import annotations

import csv
import logging
import os
import platform
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from studio.environment import DeclaredDevice
from studio.pool.needs import GIB
from studio.pool.services import DeviceReading

logger = logging.getLogger(__name__)

QUERY = "index,uuid,name,memory.total,memory.used,utilization.gpu"
SMI_SECONDS = 10.0
MIB = 2**20
CPU_PREFIX = "cpu:"


class Devices(NamedTuple):
    """What a worker may use now. Not `complete` where the driver gave no answer: there may be more."""

    found: list[DeviceReading]
    complete: bool = True


def read_devices(worker: str, declared: Sequence[DeclaredDevice]) -> Devices:
    """The declared devices where there are any, else what is found."""
    gpus = _gpus()
    if declared:
        seen = {gpu.uuid: gpu for gpu in gpus or []}
        return Devices([_declared(worker, number, device, seen) for number, device in enumerate(declared)])
    return Devices([_cpu(worker), *(gpus or [])], complete=gpus is not None)


def visible_devices(uuids: Sequence[str]) -> str:
    """CUDA_VISIBLE_DEVICES for a trainer with these devices; a trainer on the CPU sees no GPU."""
    return ",".join(uuid for uuid in uuids if not uuid.startswith(CPU_PREFIX))


def _declared(worker: str, number: int, device: DeclaredDevice, seen: dict[str, DeviceReading]) -> DeviceReading:
    uuid = f"{CPU_PREFIX}{worker}/{device.uuid or number}" if device.kind == "cpu" else device.uuid
    now = seen.get(uuid)
    return DeviceReading(
        uuid=uuid, kind=device.kind, name=device.name, memory=int(device.memory_gib * GIB),
        memory_used=now.memory_used if now else None, utilisation=now.utilisation if now else None,
    )  # fmt: skip


def _cpu(worker: str) -> DeviceReading:
    pages, free, size = (os.sysconf(name) for name in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES", "SC_PAGE_SIZE"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = min(100, round(100 * os.getloadavg()[0] / cores))
    name = f"CPU, {cores} core{'s' * (cores > 1)}, {platform.machine()}"
    return DeviceReading(f"{CPU_PREFIX}{worker}", "cpu", name, pages * size, (pages - free) * size, load)


def _gpus() -> list[DeviceReading] | None:
    """The GPUs, restricted to CUDA_VISIBLE_DEVICES where that is set; [] without driver, None where it is silent."""
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=SMI_SECONDS, check=True)
    except FileNotFoundError:
        return []
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning("nvidia-smi does not answer: %s", error)
        return None
    return parse_gpus(answer.stdout, os.environ.get("CUDA_VISIBLE_DEVICES"))


def parse_gpus(text: str, visible: str | None) -> list[DeviceReading]:
    """What nvidia-smi wrote, one GPU a line; `visible` names some by index or uuid, None means all."""
    wanted = None if visible is None else [part.strip() for part in visible.split(",")]
    found = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) != 6 or (memory := _number(row[3])) is None:
            logger.warning("nvidia-smi wrote what cannot be read: %s", row)
            continue
        index, uuid, name, used, busy = row[0], row[1], row[2], _number(row[4]), _number(row[5])
        if wanted is None or index in wanted or any(part and uuid.startswith(part) for part in wanted):
            found.append(DeviceReading(uuid, "cuda", name, memory * MIB, None if used is None else used * MIB, busy))
    return found


def _number(text: str) -> int | None:
    """None for "[N/A]" and the like."""
    return int(text) if text.strip().isdigit() else None
