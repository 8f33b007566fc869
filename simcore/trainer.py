"""A distillation as a generator of events: what is done at which step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simcore.checkpoint import read_checkpoint
from simcore.config import RunSpec
from simcore.control import Control
from simcore.distillation import Distillation
from simcore.distributed import World, joined_world
from simcore.evaluation import student_source, teacher_source
from simcore.events import Event, Log
from simcore.noise import clamped_share, sigma_range
from simcore.resolve import resolve
from simcore.teachers import load_teacher
from simcore.training_loop import Stage, TrainingLoop, prepare_torch


def distill(spec: RunSpec, run_dir: Path, control: Control, resume: Path | None = None) -> Iterator[Event]:
    """Distil: yields events as they happen, the last one Finished or Stopped.

    spec: resolved. run_dir: where samples and checkpoints go. resume: a checkpoint of the same run; training goes on
    bitwise as if it had never stopped. At step 0, and then as the schedule says, come samples, evaluations and
    checkpoints; after each iteration its Metrics. Raises TrainingError, CheckpointError, TeacherError, OSError.
    """
    with joined_world(spec) as world:
        yield from _Run(spec, run_dir, control, resume, world).events()


def follow(spec: RunSpec, resume: Path | None = None) -> None:
    """What the processes beside the leading one do: their part of each iteration, as long as it goes on.

    Raises as `distill`.
    """
    prepare_torch(spec)
    card, teacher = load_teacher(spec.teacher)
    with joined_world(spec) as world:
        run = Distillation(spec, card, teacher, world)
        if resume is not None:
            run.restore(read_checkpoint(resume))
        while world.from_leader(False):
            run.advance()


class _Run(TrainingLoop):
    """The student beside its teacher."""

    def __init__(self, spec: RunSpec, run_dir: Path, control: Control, resume: Path | None, world: World) -> None:
        prepare_torch(spec)
        card, teacher = load_teacher(spec.teacher)
        self.spec, self.run = spec, Distillation(spec, card, teacher, world)
        super().__init__(spec, run_dir, control, self.run, card.dataset)
        if resume is not None:
            self.resume(resume)
        shape, heldout_of = card.image_shape, card.heldout_of
        self.teacher = teacher_source(
            self.run.teacher, shape, card.label_dim, spec.evaluation.teacher_steps, heldout_of
        )
        self.student = student_source(self.run.ema, shape, card.label_dim, spec.generator.init_sigma, heldout_of)

    def resolved(self, stored: RunSpec) -> RunSpec:
        return resolve(stored, self.run.card)

    def notes(self) -> Iterator[Event]:
        bounds = sigma_range(self.run.teacher)
        times = {"ψ": self.spec.denoiser.time, "θ": self.spec.objective.time}
        shares = ", ".join(f"{clamped_share(time, bounds):.1%} of {who}'s ({time.law})" for who, time in times.items())
        yield Log(message=f"Noise levels are clamped to [{bounds[0]:g}, {bounds[1]:g}]: {shares}.")

    def stages(self) -> list[tuple[str, Stage]]:
        step, last = self.run.step, self.run.step == self.spec.iterations
        stages: list[tuple[str, Stage]] = []
        if step == 0:
            stages.append(("teacher samples", lambda: self.samples("teacher", self.teacher)))
        if last or step % self.spec.schedule.samples_every == 0:
            stages.append(("samples", lambda: self.samples("student", self.student)))
        if self.evaluator is None:
            return stages
        settings = self.spec.evaluation
        if step == 0:
            if settings.at_start:
                stages.append(("initial", lambda: self.evaluate_student("initial", settings.final_samples)))
                stages.append(("teacher", self._evaluate_teacher))
        elif last:
            stages.append(("student", lambda: self.evaluate_student("student", settings.final_samples)))
        elif settings.every and step % settings.every == 0:
            stages.append(("student", lambda: self.evaluate_student("student", settings.samples)))
        return stages

    def _evaluate_teacher(self) -> Iterator[Event]:
        samples = self.spec.evaluation.final_samples
        kept = self._kept_teacher_figures()
        if kept is not None:
            yield Log(message="The teacher's figures are its card's, measured as this run measures its student.")
        self.figures["teacher"] = kept or self.measure(self.teacher, samples)
        yield self.evaluation("teacher", self.figures["teacher"], samples, self.teacher.nfe)

    def _kept_teacher_figures(self) -> dict[str, float] | None:
        """The card's figures, where they were measured exactly as this run would measure them."""
        kept, settings = self.run.card.evaluation, self.spec.evaluation
        if kept is None or self.evaluator is None:
            return None
        alike = (kept.samples, kept.steps, kept.extractor_sha256)
        wanted = (settings.final_samples, settings.teacher_steps, self.evaluator.extractor_sha256)
        return kept.values if alike == wanted else None

    def summary(self) -> dict[str, Any]:
        figures = {
            f"{who}_{name}": value
            for who in ("student", "teacher", "initial")
            for name, value in self.figures.get(who, {}).items()
        }
        return {"iterations": self.run.step, "seed": self.spec.seed, **figures, **self.times()}
