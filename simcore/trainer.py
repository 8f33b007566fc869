"""The training loop as a generator of events: what is done at which step, and what is written."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from simcore.checkpoint import (
    CheckpointError,
    StoredState,
    checkpoint_name,
    read_checkpoint,
    write_atomically,
    write_checkpoint,
)
from simcore.classifier import has_extractor
from simcore.config import RunSpec
from simcore.control import Control, Request
from simcore.distillation import Distillation
from simcore.distributed import World, joined_world
from simcore.evaluation import Evaluator, SamplingSource, draw, student_source, teacher_source
from simcore.events import Checkpoint, Evaluation, Event, Finished, Log, Metrics, Samples, Started, Stopped
from simcore.images import grid_columns, save_grid
from simcore.noise import clamped_share, sigma_range
from simcore.resolve import resolve
from simcore.teachers import load_teacher

Stage = Callable[[], Iterator[Event]]


class _Interrupted(Exception):
    """A pause or a cancellation was asked for."""

    def __init__(self, request: Request) -> None:
        self.request = request


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


class _Run:
    """One process's share of a run: the networks, what was done at this step, and the figures and times so far."""

    def __init__(self, spec: RunSpec, run_dir: Path, control: Control, resume: Path | None, world: World) -> None:
        prepare_torch(spec)
        card, teacher = load_teacher(spec.teacher)
        self.spec, self.run_dir, self.control = spec, run_dir, control
        self.run = Distillation(spec, card, teacher, world)
        self.done: list[str] = []  # stages finished at this step
        self.figures: dict[str, dict[str, float]] = {}
        self.clock = {"seconds": 0.0, "evaluation_seconds": 0.0}
        self.checkpoint_wanted = False
        self.resumed = resume is not None
        if resume is not None:
            self._restore(resume)
        shape = card.image_shape
        self.teacher = teacher_source(self.run.teacher, shape, card.label_dim, spec.evaluation.teacher_steps)
        self.student = student_source(self.run.ema, shape, card.label_dim, spec.generator.init_sigma)
        self.evaluator = Evaluator(card.dataset) if has_extractor(card.dataset) else None

    def _restore(self, path: Path) -> None:
        stored = read_checkpoint(path)
        try:
            before = RunSpec.model_validate(stored.facts["spec"])
        except ValidationError:
            raise CheckpointError(f"{path} holds a specification this version cannot read") from None
        before = resolve(before, self.run.card)  # settings that are newer than the checkpoint
        if before.model_copy(update={"iterations": self.spec.iterations}) != self.spec:
            raise CheckpointError(f"{path} belongs to a run with another specification")
        self.run.restore(stored)
        self.done, self.figures = list(stored.facts["done"]), dict(stored.facts["figures"])
        clock = _clock_file(path)
        if clock.is_file():
            self.clock = json.loads(clock.read_bytes())

    def events(self) -> Iterator[Event]:
        run, total = self.run, self.spec.iterations
        yield Started(step=run.step, resumed=self.resumed, total_steps=total, device=str(run.device))
        yield from self._notes()
        try:
            while True:
                for name, stage in self._stages():
                    if name not in self.done:
                        yield from stage()
                        self.done.append(name)
                yield from self._checkpoint_if_due()
                if run.step >= total:
                    break
                run.world.from_leader(True)
                began = time.perf_counter()
                values = run.advance()
                seconds = time.perf_counter() - began
                self.clock["seconds"] += seconds
                self.done = []
                yield Metrics(step=run.step, values={**values, "seconds_per_iteration": seconds})
                self._heed()
        except _Interrupted as interruption:
            run.world.from_leader(False)
            if interruption.request == "pause":
                yield self._checkpoint()
            yield Stopped(step=run.step, reason="pause" if interruption.request == "pause" else "cancel")
            return
        run.world.from_leader(False)
        yield Finished(step=run.step, summary=self._summary())

    def _heed(self) -> None:
        """Raise _Interrupted on pause and cancel; remember a wanted checkpoint."""
        while (request := self.control.poll()) is not None:
            if request == "checkpoint":
                self.checkpoint_wanted = True
            else:
                raise _Interrupted(request)

    def _notes(self) -> Iterator[Event]:
        bounds = sigma_range(self.run.teacher)
        times = {"ψ": self.spec.denoiser.time, "θ": self.spec.objective.time}
        shares = ", ".join(f"{clamped_share(time, bounds):.1%} of {who}'s ({time.law})" for who, time in times.items())
        yield Log(message=f"Noise levels are clamped to [{bounds[0]:g}, {bounds[1]:g}]: {shares}.")
        if self.evaluator is None:
            name = self.run.card.dataset
            yield Log(level="warning", message=f"No evaluation: no feature extractor for data set '{name}' is bundled.")

    def _stages(self) -> list[tuple[str, Stage]]:
        """What is due at this step, in order; names are kept in a checkpoint, so that nothing is done twice."""
        step, last = self.run.step, self.run.step == self.spec.iterations
        stages: list[tuple[str, Stage]] = []
        if step == 0:
            stages.append(("teacher samples", lambda: self._samples("teacher", self.teacher)))
        if last or step % self.spec.schedule.samples_every == 0:
            stages.append(("samples", lambda: self._samples("student", self.student)))
        if self.evaluator is None:
            return stages
        settings = self.spec.evaluation
        if step == 0:
            if settings.at_start:
                stages.append(("initial", lambda: self._evaluate_student("initial", settings.final_samples)))
                stages.append(("teacher", self._evaluate_teacher))
        elif last:
            stages.append(("student", lambda: self._evaluate_student("student", settings.final_samples)))
        elif settings.every and step % settings.every == 0:
            stages.append(("student", lambda: self._evaluate_student("student", settings.samples)))
        return stages

    def _samples(self, name: Any, source: SamplingSource) -> Iterator[Event]:
        began = time.perf_counter()
        count, step = self.spec.schedule.sample_count, self.run.step
        images = torch.cat([batch for batch, _ in draw(source, count, self.spec.seed, "samples")])
        columns = grid_columns(count, source.label_dim)
        path = Path("samples") / f"{name}-{step:06d}.png"
        save_grid(self.run_dir / path, images, columns)
        self.clock["evaluation_seconds"] += time.perf_counter() - began
        yield Samples(step=step, source=name, path=str(path), count=count, columns=columns, nfe=source.nfe)

    def _evaluate_student(self, key: str, samples: int) -> Iterator[Event]:
        self.figures[key] = self._measure(self.student, samples)
        yield self._evaluation("student", self.figures[key], samples, self.student.nfe)

    def _evaluate_teacher(self) -> Iterator[Event]:
        samples = self.spec.evaluation.final_samples
        kept = self._kept_teacher_figures()
        if kept is not None:
            yield Log(message="The teacher's figures are its card's, measured as this run measures its student.")
        self.figures["teacher"] = kept or self._measure(self.teacher, samples)
        yield self._evaluation("teacher", self.figures["teacher"], samples, self.teacher.nfe)

    def _kept_teacher_figures(self) -> dict[str, float] | None:
        """The card's figures, where they were measured exactly as this run would measure them."""
        kept, settings = self.run.card.evaluation, self.spec.evaluation
        if kept is None or self.evaluator is None:
            return None
        alike = (kept.samples, kept.steps, kept.extractor_sha256)
        wanted = (settings.final_samples, settings.teacher_steps, self.evaluator.extractor_sha256)
        return kept.values if alike == wanted else None

    def _measure(self, source: SamplingSource, samples: int) -> dict[str, float]:
        assert self.evaluator is not None
        began = time.perf_counter()
        values = self.evaluator.measure(source, samples, between=self._heed)
        self.clock["evaluation_seconds"] += time.perf_counter() - began
        return values

    def _evaluation(self, source: Any, values: dict[str, float], samples: int, nfe: int) -> Event:
        return Evaluation(step=self.run.step, source=source, values=values, samples=samples, nfe=nfe)

    def _checkpoint_if_due(self) -> Iterator[Event]:
        step = self.run.step
        due = step > 0 and (step == self.spec.iterations or step % self.spec.schedule.checkpoint_every == 0)
        if (due and "checkpoint" not in self.done) or self.checkpoint_wanted:
            self.done.append("checkpoint")
            yield self._checkpoint()

    def _checkpoint(self) -> Event:
        self.checkpoint_wanted = False
        state = self.run.state()
        path = Path("checkpoints") / checkpoint_name(self.run.step)
        facts = {**state.facts, "done": self.done, "figures": self.figures}
        size, sha256 = write_checkpoint(self.run_dir / path, StoredState(state.tensors, facts))
        # Beside it, since a checkpoint's bytes must not depend on the clock.
        write_atomically(_clock_file(self.run_dir / path), json.dumps(self.clock).encode())
        return Checkpoint(step=self.run.step, path=str(path), size=size, sha256=sha256)

    def _summary(self) -> dict[str, Any]:
        figures = {
            f"{who}_{name}": value
            for who in ("student", "teacher", "initial")
            for name, value in self.figures.get(who, {}).items()
        }
        clock = {name: round(value, 2) for name, value in self.clock.items()}
        return {"iterations": self.run.step, "seed": self.spec.seed, **figures, **clock}


def _clock_file(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".clock.json")


def prepare_torch(spec: RunSpec) -> None:
    """Set this process's threads and determinism. Raises ValueError where the device is not there."""
    if spec.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' was asked for, but PyTorch finds no CUDA device here; use 'cpu' or 'auto'")
    if spec.threads:
        torch.set_num_threads(spec.threads)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
