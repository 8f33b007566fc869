"""One network in training: how it is called (precision, compilation, processes) and how it is updated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from simcore.checkpoint import optimizer_tensors, restore_optimizer
from simcore.config import ComputeSpec, OptimizerSpec
from simcore.distributed import World
from simcore.networks import blocks, compact_unet
from simcore.objectives import Denoiser
from simcore.preconditioning import EDMPrecond

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_BLOCKS = (blocks.Block, compact_unet.Block, compact_unet.Attention)
Part = TypeVar("Part")


class TrainingError(RuntimeError):
    """Training cannot go on: `part` was not finite in iteration `step`."""

    def __init__(self, step: int, part: str, advice: str = "a smaller learning rate may help") -> None:
        self.step, self.part = step, part
        super().__init__(f"the {part} is not finite in iteration {step}; {advice}")


def checkpoint_blocks(network: nn.Module) -> None:
    """From now on, keep only the blocks' inputs for the backward pass and compute their insides again."""
    for block in network.modules():
        if isinstance(block, _BLOCKS):
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)  # type: ignore[method-assign]


def compiled(network: nn.Module, performance: ComputeSpec) -> nn.Module:
    """The network, compiled where that is switched on. It shares its weights."""
    module: nn.Module = torch.compile(network) if performance.compile == "on" else network  # type: ignore[assignment]
    return module


def in_precision(call: nn.Module, performance: ComputeSpec, device: torch.device) -> Denoiser:
    """The denoiser with its inside in the chosen precision; input and output stay float32."""
    if performance.precision == "fp32":
        return call
    dtype = _DTYPES[performance.precision]

    def cast(x: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
        with torch.autocast(device.type, dtype):
            out: Tensor = call(x, sigma, labels)
        return out

    return cast


class Trainee:
    """θ or ψ: `denoiser` calls it, `training_denoiser` calls it so that its gradients reach every process."""

    def __init__(
        self,
        name: str,
        network: EDMPrecond,
        optimizer: OptimizerSpec,
        performance: ComputeSpec,
        world: World,
        decay_over: int | None = None,
        fused: bool = True,
    ) -> None:
        """decay_over: iterations in which the learning rate falls linearly to 0, after its warm-up; None: it stays.

        fused: Adam in one kernel, which rounds otherwise than PyTorch's plain one.
        """
        self.name, self.network, self.world = name, network, world
        self._settings, self._decay_over = optimizer, decay_over
        device = next(network.parameters()).device
        call = compiled(network, performance)
        self._parallel = world.parallel(network, call)
        self.denoiser = in_precision(call, performance, device)
        self.training_denoiser = in_precision(self._parallel, performance, device)
        betas = (float(optimizer.beta1), float(optimizer.beta2))
        rate, epsilon = optimizer.learning_rate, optimizer.epsilon
        self.optimizer = torch.optim.Adam(network.parameters(), rate, betas, epsilon, fused=fused)
        self._scaler = torch.amp.GradScaler(device.type, enabled=performance.precision == "fp16")

    def update(self, step: int, parts: Sequence[Part], loss_of: Callable[[Part], Tensor]) -> dict[str, float]:
        """Step `step` (from 1) of Adam, on the gradient of the mean loss over all parts and processes.

        loss_of: a part's losses, one a sample; the parts are of one size. Returns `<name>_loss` and, unless fp16
        overflowed and the step is left out, `<name>_grad_norm` (before clipping). Raises TrainingError.
        """
        self.optimizer.zero_grad()
        total = torch.zeros((), device=next(self.network.parameters()).device)
        for number, part in enumerate(parts, 1):
            with self._gradients_exchanged(number == len(parts)):
                loss = loss_of(part).mean() / len(parts)
                self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        self._scaler.unscale_(self.optimizer)
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        values = {f"{self.name}_loss": self.world.mean(total).item(), f"{self.name}_grad_norm": norm.item()}
        self._check(step, values)
        if self._settings.gradient_clip and math.isfinite(norm):
            torch.nn.utils.clip_grads_with_norm_(self.network.parameters(), self._settings.gradient_clip, norm)
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate(step)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        return values

    def _learning_rate(self, step: int) -> float:
        rate = self._settings.learning_rate * min(1.0, step / max(self._settings.warm_up, 1))
        return rate * (1 - (step - 1) / self._decay_over) if self._decay_over else rate

    def _check(self, step: int, values: dict[str, float]) -> None:
        loss, norm = f"{self.name}_loss", f"{self.name}_grad_norm"
        if not math.isfinite(values[loss]):
            raise TrainingError(step, f"{self.name} loss")
        if not math.isfinite(values[norm]):
            # An overflow of fp16 leaves a step out and halves the scale; below 1 the gradient itself is too great.
            if not self._scaler.is_enabled() or self._scaler.get_scale() < 1:
                raise TrainingError(step, f"{self.name} gradient")
            del values[norm]

    def _gradients_exchanged(self, last: bool) -> AbstractContextManager[None]:
        """Processes exchange their gradients in the last part's backward pass only."""
        if last or not isinstance(self._parallel, DistributedDataParallel):
            return nullcontext()
        return self._parallel.no_sync()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The network's parameters as constants; gradients still flow through its input (A.5)."""
        self.network.requires_grad_(False)
        try:
            yield
        finally:
            self.network.requires_grad_(True)

    def tensors(self) -> dict[str, Tensor]:
        """The weights and the optimiser's state, named `<name>.…` and `<name>_optimizer.…`."""
        weights = {f"{self.name}.{key}": value for key, value in self.network.state_dict().items()}
        return weights | optimizer_tensors(self.optimizer, f"{self.name}_optimizer")

    def scaling(self) -> dict[str, Any]:
        """The state of fp16's scaling; empty in other precisions."""
        return self._scaler.state_dict()

    def restore(self, weights: dict[str, Tensor], optimizer: dict[str, Tensor], scaling: dict[str, Any]) -> None:
        """Put back what `tensors` and `scaling` gave. Raises KeyError, RuntimeError or ValueError."""
        self.network.load_state_dict(weights)
        restore_optimizer(self.optimizer, optimizer)
        if scaling:
            self._scaler.load_state_dict(scaling)
