"""Train a teacher by denoising score matching (EDM): the networks, one update of them, and the run's events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from simcore.checkpoint import CheckpointError, StoredState
from simcore.control import Control
from simcore.datasets import Dataset, for_training, load_dataset
from simcore.distillation import Batch
from simcore.distributed import World
from simcore.ema import average_copy, ema_decay, update_average
from simcore.evaluation import teacher_source
from simcore.events import Event, Log
from simcore.noise import draw_times, sigma_range
from simcore.objectives import denoising_loss
from simcore.pretrain_config import PretrainSpec, denoiser_config
from simcore.resolve import resolve_pretraining
from simcore.sampling import one_hot
from simcore.seeds import generator_for
from simcore.teacher_card import TeacherEvaluation
from simcore.teachers import build_denoiser
from simcore.trained_teacher import Origin, check_vacant, write_teacher
from simcore.training_loop import Stage, TrainingLoop, prepare_torch
from simcore.updates import Trainee, TrainingError, checkpoint_blocks
from simcore.weighting import WEIGHTINGS


def pretrain(
    spec: PretrainSpec, run_dir: Path, control: Control, resume: Path | None = None, *, teacher: Path, origin: Origin
) -> Iterator[Event]:
    """Train a teacher: yields events as they happen, the last one Finished or Stopped.

    spec: resolved. run_dir: where samples and checkpoints go. resume: a checkpoint of the same run; training goes on
    bitwise as if it had never stopped. teacher: the folder of the finished teacher, whose card is in the summary.
    What is trained is the "student" of samples and evaluations: its moving average, by Heun's sampler. Raises
    SpecError, DatasetError, TeacherError where the folder holds a teacher, TrainingError, CheckpointError, OSError.
    """
    yield from _Run(spec, run_dir, control, resume, teacher, origin).events()


class Pretraining:
    """The denoiser in training, its average, the optimiser and the random states. `spec` must be resolved.

    The batches are drawn on the CPU, from the training split, and so are the same on every device.
    """

    def __init__(self, spec: PretrainSpec, data: Dataset) -> None:
        self.spec, self.world, self.step = spec, World(), 0
        self.config = denoiser_config(spec, data.image_shape, data.classes, f"data set '{data.name}'")
        self.data = for_training(data.train)
        self.device = self.world.device(spec.device)
        torch.manual_seed(spec.seed)  # weights and dropout
        dropout = {"dropout": spec.dropout} if spec.dropout else {}
        network = build_denoiser({**self.config, **dropout}).train()
        self.average = average_copy(build_denoiser(self.config))
        self.average.load_state_dict(network.state_dict())
        self._dropout_state = self._global_state()
        layout = torch.channels_last if spec.performance.channels_last == "on" else torch.preserve_format
        for part in (network, self.average):
            part.to(self.device, memory_format=layout)  # type: ignore[call-overload]
        if spec.performance.gradient_checkpointing:
            checkpoint_blocks(network)
        self.denoiser = Trainee(
            "denoiser",
            network,
            spec.optimizer,
            spec.performance,
            self.world,
            decay_over=spec.iterations,
            fused=self.device.type == "cuda",  # on a CPU PyTorch's plain Adam made the bundled teachers
        )
        self.generator = generator_for(spec.seed, "pretraining")

    def advance(self) -> dict[str, float]:
        """One update and the average. Returns its metrics; raises TrainingError, DatasetError."""
        weighting = WEIGHTINGS[self.spec.network.loss[1]]

        def loss(part: Batch) -> Tensor:
            assert part.images is not None
            return denoising_loss(
                self.denoiser.training_denoiser, part.images, part.t, part.noise, part.labels, weighting
            )

        self._set_global_state(self._dropout_state)
        values = self.denoiser.update(self.step + 1, self._draw(), loss)
        self._dropout_state = self._global_state()
        decay = ema_decay(self.spec.ema, self.step * self.spec.batch_size, self.spec.batch_size)
        update_average(self.average, self.denoiser.network, decay)
        self.step += 1
        return values

    def _draw(self) -> list[Batch]:
        """A fresh batch, in parts of one size."""
        count, generator = self.spec.batch_size, self.generator
        chosen = torch.randint(len(self.data), (count,), generator=generator)
        images = self.data.batch(chosen)
        labels = None if self.data.labels is None else one_hot(self.data.labels[chosen], self.config["label_dim"])
        t = draw_times(self.spec.network.loss[0], count, sigma_range(self.average), generator)
        noise = torch.randn(images.shape, generator=generator)
        labels = None if labels is None else labels.to(self.device)
        images, t, noise = (values.to(self.device) for values in (images, t, noise))
        passes = self.spec.performance.accumulation
        return [Batch(noise, labels, t, noise, images).part(number, passes) for number in range(passes)]

    def _global_state(self) -> Tensor:
        """Of the generator that dropout draws from."""
        return torch.cuda.get_rng_state() if self.device.type == "cuda" else torch.get_rng_state()

    def _set_global_state(self, state: Tensor) -> None:
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state)
        else:
            torch.set_rng_state(state)

    def state(self) -> StoredState:
        """Everything that the next iteration depends on. Raises TrainingError where weights are not finite."""
        average = {f"ema.{key}": value for key, value in self.average.state_dict().items()}
        tensors = {"random_state": self.generator.get_state(), "dropout_state": self._dropout_state, **average}
        tensors |= self.denoiser.tensors()
        if not all(value.isfinite().all() for value in tensors.values()):
            raise TrainingError(self.step, "weights")
        facts = {
            "spec": self.spec.model_dump(mode="json"),
            "step": self.step,
            "images": len(self.data),
            "scaling": self.denoiser.scaling(),
        }
        return StoredState(tensors, facts)

    def restore(self, stored: StoredState) -> None:
        """Go on from a stored state. Raises CheckpointError where it does not fit, or the data set has changed."""
        try:
            if stored.facts["images"] != len(self.data):
                raise CheckpointError(
                    f"the data set has changed: the checkpoint's has {stored.facts['images']:,} training images, "
                    f"this one {len(self.data):,}"
                )
            self.average.load_state_dict(stored.part("ema"))
            weights, optimizer = stored.part("denoiser"), stored.part("denoiser_optimizer")
            self.denoiser.restore(weights, optimizer, stored.facts["scaling"])
            self.generator.set_state(stored.tensors["random_state"])
            self._dropout_state = stored.tensors["dropout_state"]
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(f"the checkpoint does not fit this run: {error}") from None
        self.step = int(stored.facts["step"])


class _Run(TrainingLoop):
    """A teacher in training: the "student" of the run's samples and evaluations."""

    def __init__(
        self, spec: PretrainSpec, run_dir: Path, control: Control, resume: Path | None, teacher: Path, origin: Origin
    ) -> None:
        if resume is None:
            check_vacant(teacher)
        prepare_torch(spec)
        self.spec, self.teacher, self.origin = spec, teacher, origin
        self.data = load_dataset(spec.dataset)
        self.run = Pretraining(spec, self.data)
        super().__init__(spec, run_dir, control, self.run, self.data.reference)
        if resume is not None:
            self.resume(resume)
        shape, label_dim = self.data.image_shape, self.run.config["label_dim"]
        self.student = teacher_source(self.run.average, shape, label_dim, spec.evaluation.steps, self.data.reference)

    def resolved(self, stored: PretrainSpec) -> PretrainSpec:
        return resolve_pretraining(stored)

    def comparable(self, spec: PretrainSpec) -> PretrainSpec:
        return spec  # the learning rate depends on the number of iterations

    def notes(self) -> Iterator[Event]:
        yield Log(message=f"{self.data}.")

    def stages(self) -> list[tuple[str, Stage]]:
        step, last = self.run.step, self.run.step == self.spec.iterations
        stages: list[tuple[str, Stage]] = []
        if last or step % self.spec.schedule.samples_every == 0:
            stages.append(("samples", lambda: self.samples("student", self.student)))
        settings = self.spec.evaluation
        if self.evaluator is not None and last:
            stages.append(("student", lambda: self.evaluate_student("student", settings.final_samples)))
        elif self.evaluator is not None and step and settings.every and step % settings.every == 0:
            stages.append(("student", lambda: self.evaluate_student("student", settings.samples)))
        return stages

    def summary(self) -> dict[str, Any]:
        """Writes the teacher first: its card is in it."""
        card = write_teacher(
            self.teacher, self.spec, self.data, self.run.average, self.run.config, self._evaluation(), self.origin
        )
        figures = {f"student_{name}": value for name, value in self.figures.get("student", {}).items()}
        facts = {"iterations": self.run.step, "seed": self.spec.seed, **figures, **self.times()}
        return facts | {"card": card.model_dump(mode="json")}

    def _evaluation(self) -> TeacherEvaluation | None:
        if self.evaluator is None:
            return None
        return TeacherEvaluation(
            samples=self.spec.evaluation.final_samples,
            steps=self.spec.evaluation.steps,
            extractor_sha256=self.evaluator.extractor_sha256,
            values=self.figures["student"],
        )
