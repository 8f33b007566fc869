"""Distillation: the networks in training, one update of them, and their state (paper Algorithm 2)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from simcore.checkpoint import CheckpointError, StoredState
from simcore.config import RunSpec, TimeSpec
from simcore.distances import DistanceOverflow
from simcore.distributed import World
from simcore.ema import average_copy, ema_decay, update_average
from simcore.noise import draw_times, sigma_range
from simcore.objectives import OBJECTIVES, Denoiser, denoising_loss
from simcore.preconditioning import EDMPrecond
from simcore.sampling import one_hot, one_step
from simcore.seeds import generator_for
from simcore.teacher_card import TeacherCard
from simcore.updates import Trainee, TrainingError, checkpoint_blocks, compiled, in_precision
from simcore.weighting import WEIGHTINGS


@dataclass(frozen=True)
class Batch:
    """z/t* [B, C, H, W], one-hot labels [B, label_dim] or None, t [B], ε [B, C, H, W]; shared samples, if any."""

    latents: Tensor
    labels: Tensor | None
    t: Tensor
    noise: Tensor
    images: Tensor | None = None

    def part(self, number: int, count: int) -> Batch:
        """Part `number` (from 0) of `count` of one size."""
        size = len(self.t) // count
        rows = slice(number * size, (number + 1) * size)
        labels = None if self.labels is None else self.labels[rows]
        images = None if self.images is None else self.images[rows]
        return Batch(self.latents[rows], labels, self.t[rows], self.noise[rows], images)


class Distillation:
    """θ, ψ, q, the average of θ, both optimisers and the random state.

    θ, ψ and q start from the teacher's weights; q stays frozen. `step` counts finished updates of θ.
    `spec` must be resolved (see `simcore.resolve`). Every process of `world` draws the whole batch and takes its part.
    """

    def __init__(self, spec: RunSpec, card: TeacherCard, teacher: EDMPrecond, world: World | None = None) -> None:
        self.spec, self.card, self.world = spec, card, world or World()
        self.device = self.world.device(spec.device)
        self.teacher = teacher.to(self.device)
        if spec.performance.channels_last == "on":
            self.teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        networks = [copy.deepcopy(self.teacher).requires_grad_(True) for _ in range(2)]
        self.ema = average_copy(self.teacher)
        for network in [*networks, self.teacher]:
            _set_dropout(network, spec.dropout)
            if spec.performance.gradient_checkpointing:
                checkpoint_blocks(network)
        self.student = Trainee("student", networks[0], spec.student_optimizer, spec.performance, self.world)
        self.denoiser = Trainee("denoiser", networks[1], spec.denoiser_optimizer, spec.performance, self.world)
        self._real = in_precision(compiled(self.teacher, spec.performance), spec.performance, self.device)
        self.generator = generator_for(spec.seed, "training", self.device)
        self.step = 0
        self._student_loss = OBJECTIVES[spec.objective.name](spec.objective)

    def advance(self) -> dict[str, float]:
        """One iteration: the updates of ψ, one of θ, the average. Returns its metrics; raises TrainingError."""
        values = self._with_shared_samples() if self.spec.performance.share_samples else self._with_fresh_samples()
        decay = ema_decay(self.spec.ema, self.step * self.spec.batch_size, self.spec.batch_size)
        update_average(self.ema, self.student.network, decay)
        self.step += 1
        return values

    def _with_fresh_samples(self) -> dict[str, float]:
        values: dict[str, float] = {}
        for _ in range(self.spec.denoiser.steps):
            values |= self._update_denoiser(self._draw(self.spec.denoiser.time))
        return values | self._update_student(self._draw(self.spec.objective.time))

    def _with_shared_samples(self) -> dict[str, float]:
        """θ's samples, with their graph, serve ψ too; t and ε are fresh."""
        (part,) = self._draw(self.spec.objective.time)
        with self._dropout(self.student.network):
            part = replace(part, images=self._generate(part, self.student.training_denoiser))
        values: dict[str, float] = {}
        for _ in range(self.spec.denoiser.steps):
            (fresh,) = self._draw(self.spec.denoiser.time)
            values |= self._update_denoiser([replace(fresh, labels=part.labels, images=part.images)])
        return values | self._update_student([part])

    def _update_denoiser(self, parts: list[Batch]) -> dict[str, float]:
        weighting = WEIGHTINGS[self.spec.denoiser.weighting]

        def loss(part: Batch) -> Tensor:
            with torch.no_grad():
                images = self._generate(part, self.student.denoiser).detach()
            return denoising_loss(self.denoiser.training_denoiser, images, part.t, part.noise, part.labels, weighting)

        with self._dropout(self.denoiser.network):
            return self.denoiser.update(self.step + 1, parts, loss)

    def _update_student(self, parts: list[Batch]) -> dict[str, float]:
        def loss(part: Batch) -> Tensor:
            images = self._generate(part, self.student.training_denoiser)
            return self._objective(images, part)

        with self._dropout(self.student.network), self.denoiser.frozen():
            return self.student.update(self.step + 1, parts, loss)

    def _objective(self, images: Tensor, part: Batch) -> Tensor:
        """θ's losses. A distance that overflows in one process is a TrainingError in all: none waits for the others."""
        losses, reason = None, "it overflowed in another process"
        try:
            losses = self._student_loss(images, part.t, part.noise, part.labels, self.denoiser.denoiser, self._real)
        except DistanceOverflow as error:
            reason = str(error)
        can_overflow = self.spec.objective.distance == "exp_power"
        if can_overflow and self.world.anywhere(losses is None, self.device):
            raise TrainingError(self.step + 1, "distance", f"{reason}; a smaller objective.exp_beta helps")
        assert losses is not None
        return losses

    def _generate(self, part: Batch, generator: Denoiser) -> Tensor:
        if part.images is not None:
            return part.images
        return one_step(generator, part.latents, part.labels, self.spec.generator.init_sigma)

    def _draw(self, time: TimeSpec) -> list[Batch]:
        """This process's parts, one a pass, of a fresh batch. All processes draw the same batch."""
        count, shape = self.spec.batch_size, self.card.image_shape
        options: dict[str, Any] = {"generator": self.generator, "device": self.device}
        latents = torch.randn(count, *shape, **options)
        classes = torch.randint(max(self.card.label_dim, 1), (count,), **options)
        t = draw_times(time, count, sigma_range(self.teacher), self.generator)
        batch = Batch(latents, one_hot(classes, self.card.label_dim), t, torch.randn(count, *shape, **options))
        passes = self.spec.performance.accumulation
        first = self.world.rank * passes
        return [batch.part(first + number, self.world.size * passes) for number in range(passes)]

    @contextmanager
    def _dropout(self, network: nn.Module) -> Iterator[None]:
        """Dropout on, where the run has any, its masks drawn from the run's own randomness."""
        if not self.spec.dropout:
            yield
            return
        seed = int(torch.randint(2**62, (), generator=self.generator, device=self.device))
        torch.manual_seed(seed + self.world.rank)
        network.train()
        try:
            yield
        finally:
            network.eval()

    def state(self) -> StoredState:
        """Everything that the next iteration depends on. Raises TrainingError where weights are not finite."""
        average = {f"ema.{key}": value for key, value in self.ema.state_dict().items()}
        weights = [*average.values(), *(v for t in self._trainees() for v in t.network.state_dict().values())]
        if not all(value.isfinite().all() for value in weights):
            raise TrainingError(self.step, "weights")
        tensors = {"random_state": self.generator.get_state(), **average}
        for trainee in self._trainees():
            tensors |= trainee.tensors()
        facts = {
            "spec": self.spec.model_dump(mode="json"),
            "step": self.step,
            "teacher": self.card.model_dump(mode="json"),
            "scaling": {trainee.name: trainee.scaling() for trainee in self._trainees()},
        }
        return StoredState(tensors, facts)

    def restore(self, stored: StoredState) -> None:
        """Go on from a stored state. Raises CheckpointError where it belongs to another teacher or run."""
        if stored.facts["teacher"]["sha256"] != self.card.sha256:
            raise CheckpointError("the checkpoint belongs to another teacher")
        try:
            self.ema.load_state_dict(stored.part("ema"))
            for trainee in self._trainees():
                scaling = stored.facts["scaling"][trainee.name]
                trainee.restore(stored.part(trainee.name), stored.part(f"{trainee.name}_optimizer"), scaling)
            self.generator.set_state(stored.tensors["random_state"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(f"the checkpoint does not fit this run: {error}") from None
        self.step = int(stored.facts["step"])

    def _trainees(self) -> tuple[Trainee, Trainee]:
        return self.student, self.denoiser


def _set_dropout(network: nn.Module, share: float) -> None:
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = share
