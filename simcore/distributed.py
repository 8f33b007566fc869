"""Several training processes, one a device, started by torchrun: each computes its part of every batch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from simcore.config import RunSpec
from simcore.torchrun import Place, place

# The others wait while the first one samples and evaluates; that all are there at all shows sooner.
_PATIENCE = timedelta(days=1)
_MEETING = timedelta(minutes=10)


@dataclass(frozen=True)
class World(Place):
    """The run's processes, seen from this one. Rank 0 leads: it samples, writes and reports."""

    def device(self, name: str) -> torch.device:
        """This process's device: its own GPU where there are several processes."""
        return torch.device(name, self.local_rank) if name == "cuda" and self.size > 1 else torch.device(name)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a value over the processes."""
        if self.size == 1:
            return value
        total = value.clone()
        distributed.all_reduce(total)
        return total / self.size

    def anywhere(self, happened: bool, device: torch.device) -> bool:
        """Whether it happened in any process; all processes call this together."""
        if self.size == 1:
            return happened
        flag = torch.tensor(float(happened), device=device)
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag)

    def from_leader(self, value: bool) -> bool:
        """What the leading process passes here; all processes call this together."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def parallel(self, network: nn.Module, call: nn.Module) -> nn.Module:
        """`call` (the network, maybe compiled), its gradients averaged over the processes."""
        if self.size == 1:
            return call
        # Published networks carry a layer for augmentation labels, which distillation does not use.
        unused = any("map_augment" in name for name, _ in network.named_parameters())
        return DistributedDataParallel(call, forward_sync_buffers=False, find_unused_parameters=unused)


@contextmanager
def joined_world(spec: RunSpec) -> Iterator[World]:
    """Join the run's other processes.

    Raises ValueError where torchrun started another number than the spec's, RuntimeError where one does not come.
    """
    here = place() or Place()
    world = World(here.rank, here.size, here.local_rank)
    if world.size != spec.performance.devices:
        raise ValueError(f"performance.devices is {spec.performance.devices}, but torchrun started {world.size}")
    if world.size == 1:
        yield world
        return
    if spec.device == "cuda":
        torch.cuda.set_device(world.local_rank)
    backend = "nccl" if spec.device == "cuda" else "gloo"
    distributed.init_process_group(
        backend, store=_meet(world), rank=world.rank, world_size=world.size, timeout=_PATIENCE
    )
    try:
        yield world
    finally:
        # Gloo's threads need the GIL to let go of the last tensors, and PyTorch holds it while it waits for their end.
        time.sleep(0.5)
        distributed.destroy_process_group()


def _meet(world: World) -> Any:
    """Wait until every process has come, for `_MEETING`; torch's `Store` that they share. Raises RuntimeError."""
    try:
        store, _, _ = next(rendezvous("env://", timeout=_MEETING))
        store.set(f"simcore/{world.rank}", "here")
        store.wait([f"simcore/{rank}" for rank in range(world.size)], _MEETING)
    except distributed.DistStoreError:
        raise RuntimeError(f"not all of the run's {world.size} processes have come within {_MEETING}") from None
    return store
