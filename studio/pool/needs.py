"""What a job needs of a worker, resolved when it is created."""

from __future__ import annotations

from dataclasses import dataclass

from simcore.config import ComputeSpec, RunSpec
from simcore.pretrain_config import PretrainSpec
from studio.celery import RUNS_QUEUE

GIB = 2**30
FLOAT = 4  # bytes
# θ, ψ, the teacher, the average, two gradients, and Adam's two moments of θ and of ψ
COPIES_IN_MEMORY = 10
# Of a teacher in training: the network, the average, the gradient and Adam's two moments
PRETRAINING_COPIES_IN_MEMORY = 5


@dataclass(frozen=True)
class Needs:
    """`count` devices of a kind ("cpu", "cuda"), each with `memory` bytes; no kind: a worker is enough."""

    kind: str = ""
    count: int = 0
    memory: int = 0

    def __str__(self) -> str:
        if not self.kind:
            return "no device"
        many = f"{self.count} {self.kind.upper()} device{'s' * (self.count > 1)}"
        return f"{many} with {gib(self.memory)}" if self.memory else many


def default_needs(queue: str) -> Needs:
    """Of a kind of job that does not say: what trains takes a CPU for itself."""
    return Needs("cpu", 1) if queue == RUNS_QUEUE else Needs()


def training_needs(spec: RunSpec, parameters: int) -> Needs:
    """Of a distillation with a resolved device. The processes of a run on the CPU share one CPU device.

    The memory is the user's figure for a device, else weights, gradients and moments in fp32: activations depend on
    batch, resolution and checkpointing, and are not in it.
    """
    return _needs(spec.device, spec.performance, COPIES_IN_MEMORY * FLOAT * parameters, spec.performance.devices)


def pretraining_needs(spec: PretrainSpec, parameters: int) -> Needs:
    """Of a teacher's training with a resolved device: as above."""
    return _needs(spec.device, spec.performance, PRETRAINING_COPIES_IN_MEMORY * FLOAT * parameters, 1)


def _needs(device: str, compute: ComputeSpec, memory: int, devices: int) -> Needs:
    own = int(compute.memory_gib * GIB) if compute.memory_gib else 0
    if device == "cuda":
        return Needs("cuda", devices, own or memory)
    return Needs("cpu", 1, own or memory * devices)


def gib(size: int) -> str:
    """As in "20 GiB", "1.5 GiB"; below a tenth in MiB."""
    return f"{size / GIB:.1f} GiB".replace(".0 ", " ") if size >= GIB / 10 else f"{-(-size // 2**20)} MiB"
