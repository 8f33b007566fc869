"""Distillation: the networks in training, one update of them, and their state (paper Algorithm 2)."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from simcore.checkpoint import CheckpointError, StoredState, optimizer_tensors, restore_optimizer
from simcore.config import OptimizerSpec, RunSpec, TimeSpec
from simcore.distances import DistanceOverflow
from simcore.ema import average_copy, ema_decay, update_average
from simcore.noise import draw_times, sigma_range
from simcore.objectives import OBJECTIVES, denoising_loss
from simcore.preconditioning import EDMPrecond
from simcore.sampling import one_hot, one_step
from simcore.seeds import generator_for
from simcore.teacher_card import TeacherCard
from simcore.weighting import WEIGHTINGS

_NETWORKS = ("student", "ema", "denoiser")


class TrainingError(RuntimeError):
    """Training cannot go on: `part` was not finite in iteration `step`."""

    def __init__(self, step: int, part: str, advice: str = "a smaller learning rate may help") -> None:
        self.step, self.part = step, part
        super().__init__(f"the {part} is not finite in iteration {step}; {advice}")


class Distillation:
    """θ, ψ, q, the average of θ, both optimisers and the random state.

    θ, ψ and q start from the teacher's weights; q stays frozen. `step` counts finished updates of θ.
    `spec` must be resolved (see `simcore.resolve`).
    """

    def __init__(self, spec: RunSpec, card: TeacherCard, teacher: EDMPrecond) -> None:
        self.spec, self.card = spec, card
        self.device = torch.device(spec.device)
        self.teacher = teacher.to(self.device)
        self.student = copy.deepcopy(self.teacher).requires_grad_(True)
        self.denoiser = copy.deepcopy(self.teacher).requires_grad_(True)
        self.ema = average_copy(self.teacher)
        self.student_optimizer = _adam(self.student, spec.student_optimizer)
        self.denoiser_optimizer = _adam(self.denoiser, spec.denoiser_optimizer)
        self.generator = generator_for(spec.seed, "training", self.device)
        self.step = 0
        self._student_loss = OBJECTIVES[spec.objective.name](spec.objective)

    def advance(self) -> dict[str, float]:
        """One iteration: the updates of ψ, one of θ, the average. Returns its metrics; raises TrainingError."""
        values: dict[str, float] = {}
        for _ in range(self.spec.denoiser.steps):
            values |= self._update_denoiser()
        values |= self._update_student()
        decay = ema_decay(self.spec.ema, self.step * self.spec.batch_size, self.spec.batch_size)
        update_average(self.ema, self.student, decay)
        self.step += 1
        return values

    def _update_denoiser(self) -> dict[str, float]:
        latents, labels, t, noise = self._draw(self.spec.denoiser.time)
        with torch.no_grad():
            images = one_step(self.student, latents, labels, self.spec.generator.init_sigma)
        weighting = WEIGHTINGS[self.spec.denoiser.weighting]
        loss = denoising_loss(self.denoiser, images, t, noise, labels, weighting).mean()
        return self._descend("denoiser", loss, self.denoiser, self.denoiser_optimizer)

    def _update_student(self) -> dict[str, float]:
        latents, labels, t, noise = self._draw(self.spec.objective.time)
        with _frozen(self.denoiser):
            images = one_step(self.student, latents, labels, self.spec.generator.init_sigma)
            try:
                losses = self._student_loss(images, t, noise, labels, self.denoiser, self.teacher)
            except DistanceOverflow as error:
                raise TrainingError(self.step + 1, "distance", f"{error}; a smaller objective.exp_beta helps") from None
            return self._descend("student", losses.mean(), self.student, self.student_optimizer)

    def _draw(self, time: TimeSpec) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        """Fresh z/t*, labels, t and ε for one batch."""
        batch, shape = self.spec.batch_size, self.card.image_shape
        options: dict[str, Any] = {"generator": self.generator, "device": self.device}
        latents = torch.randn(batch, *shape, **options)
        classes = torch.randint(max(self.card.label_dim, 1), (batch,), **options)
        t = draw_times(time, batch, sigma_range(self.teacher), self.generator)
        return latents, one_hot(classes, self.card.label_dim), t, torch.randn(batch, *shape, **options)

    def _descend(
        self, name: str, loss: Tensor, network: nn.Module, optimizer: torch.optim.Optimizer
    ) -> dict[str, float]:
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
        values = {f"{name}_loss": loss.item(), f"{name}_grad_norm": norm.item()}
        for part, value in values.items():
            if not math.isfinite(value):
                raise TrainingError(self.step + 1, part.replace("_", " ").replace("grad norm", "gradient"))
        optimizer.step()
        return values

    def state(self) -> StoredState:
        """Everything that the next iteration depends on. Raises TrainingError where weights are not finite."""
        tensors: dict[str, Tensor] = {"random_state": self.generator.get_state()}
        for name in _NETWORKS:
            tensors |= {f"{name}.{key}": value for key, value in getattr(self, name).state_dict().items()}
        if not all(value.isfinite().all() for value in tensors.values()):
            raise TrainingError(self.step, "weights")
        for name in ("student_optimizer", "denoiser_optimizer"):
            tensors |= optimizer_tensors(getattr(self, name), name)
        facts = {
            "spec": self.spec.model_dump(mode="json"),
            "step": self.step,
            "teacher": self.card.model_dump(mode="json"),
        }
        return StoredState(tensors, facts)

    def restore(self, stored: StoredState) -> None:
        """Go on from a stored state. Raises CheckpointError where it belongs to another teacher or run."""
        if stored.facts["teacher"]["sha256"] != self.card.sha256:
            raise CheckpointError("the checkpoint belongs to another teacher")
        try:
            for name in _NETWORKS:
                getattr(self, name).load_state_dict(stored.part(name))
            for name in ("student_optimizer", "denoiser_optimizer"):
                restore_optimizer(getattr(self, name), stored.part(name))
            self.generator.set_state(stored.tensors["random_state"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(f"the checkpoint does not fit this run: {error}") from None
        self.step = int(stored.facts["step"])


def _adam(network: nn.Module, spec: OptimizerSpec) -> torch.optim.Adam:
    betas = (float(spec.beta1), float(spec.beta2))
    return torch.optim.Adam(network.parameters(), spec.learning_rate, betas, spec.epsilon, fused=True)


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """The network's parameters as constants; gradients still flow through its input (A.5)."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
