"""What every training has in common: a loop of events, in which things are done at their step and written."""

from __future__ import annotations

import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

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
from simcore.config import RunSpec
from simcore.control import Control, Request
from simcore.distributed import World
from simcore.evaluation import SamplingSource, draw, has_evaluator, open_evaluator
from simcore.events import Checkpoint, Evaluation, Event, Finished, Log, Metrics, Samples, Started, Stopped
from simcore.pictures import save_samples
from simcore.precision import full_fp32
from simcore.pretrain_config import PretrainSpec

Stage = Callable[[], Iterator[Event]]


class Training(Protocol):
    """What is trained: its networks, one update of them, and their state. `step` counts finished updates."""

    step: int
    device: torch.device
    world: World

    def advance(self) -> dict[str, float]: ...

    def state(self) -> StoredState: ...

    def restore(self, stored: StoredState) -> None: ...


class _Interrupted(Exception):
    """A pause or a cancellation was asked for."""

    def __init__(self, request: Request) -> None:
        self.request = request


class TrainingLoop(ABC):
    """One process's share of a run: what was done at this step, and the figures and times so far.

    spec: resolved. dataset: what samples are measured against. student: what draws the samples of what is trained.
    """

    student: SamplingSource

    def __init__(
        self, spec: RunSpec | PretrainSpec, run_dir: Path, control: Control, training: Training, dataset: str
    ) -> None:
        self.run_dir, self.control, self.training, self.dataset = run_dir, control, training, dataset
        self._spec = spec
        self.done: list[str] = []  # stages finished at this step
        self.figures: dict[str, dict[str, float]] = {}
        self.clock = {"seconds": 0.0, "evaluation_seconds": 0.0}
        self.checkpoint_wanted = False
        self.resumed = False
        self.evaluator = open_evaluator(dataset) if has_evaluator(dataset) else None

    @abstractmethod
    def notes(self) -> Iterator[Event]:
        """What the log says at the start."""

    @abstractmethod
    def stages(self) -> list[tuple[str, Stage]]:
        """What is due at this step, in order; names are kept in a checkpoint, so that nothing is done twice."""

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """Of the finished run."""

    @abstractmethod
    def resolved(self, stored: Any) -> RunSpec | PretrainSpec:
        """A checkpoint's specification, with the settings that are newer than the checkpoint."""

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint of the same run. Raises CheckpointError."""
        stored = read_checkpoint(path)
        try:
            before = self.resolved(type(self._spec).model_validate(stored.facts["spec"]))
        except ValidationError:
            raise CheckpointError(f"{path} holds a specification this version cannot read") from None
        if self.comparable(before) != self.comparable(self._spec):
            raise CheckpointError(f"{path} belongs to a run with another specification")
        self.training.restore(stored)
        self.done, self.figures = list(stored.facts["done"]), dict(stored.facts["figures"])
        clock = _clock_file(path)
        if clock.is_file():
            self.clock = json.loads(clock.read_bytes())
        self.resumed = True

    def comparable(self, spec: Any) -> RunSpec | PretrainSpec:
        """Without what may change between two attempts."""
        return spec.model_copy(update={"iterations": 0})  # type: ignore[no-any-return]

    def events(self) -> Iterator[Event]:
        training, total = self.training, self._spec.iterations
        yield Started(step=training.step, resumed=self.resumed, total_steps=total, device=str(training.device))
        yield from self.notes()
        if self.evaluator is None:
            message = f"No evaluation: no feature extractor for data set '{self.dataset}' is bundled."
            yield Log(level="warning", message=message)
        try:
            while True:
                for name, stage in self.stages():
                    if name not in self.done:
                        yield from stage()
                        self.done.append(name)
                yield from self._checkpoint_if_due()
                if training.step >= total:
                    break
                training.world.from_leader(True)
                began = time.perf_counter()
                values = training.advance()
                seconds = time.perf_counter() - began
                self.clock["seconds"] += seconds
                self.done = []
                yield Metrics(step=training.step, values={**values, "seconds_per_iteration": seconds})
                self._heed()
        except _Interrupted as interruption:
            training.world.from_leader(False)
            if interruption.request == "pause":
                yield self._checkpoint()
            yield Stopped(step=training.step, reason="pause" if interruption.request == "pause" else "cancel")
            return
        training.world.from_leader(False)
        yield Finished(step=training.step, summary=self.summary())

    def _heed(self) -> None:
        """Raise _Interrupted on pause and cancel; remember a wanted checkpoint."""
        while (request := self.control.poll()) is not None:
            if request == "checkpoint":
                self.checkpoint_wanted = True
            else:
                raise _Interrupted(request)

    def samples(self, name: Any, source: SamplingSource) -> Iterator[Event]:
        """A grid from the run's fixed latents."""
        began = time.perf_counter()
        count, step = self._spec.schedule.sample_count, self.training.step
        images = torch.cat([batch for batch, _ in draw(source, count, self._spec.seed, "samples")])
        path = Path("samples") / f"{name}-{step:06d}.png"
        columns = save_samples(self.run_dir / path, images, source.label_dim, self.dataset)
        self.clock["evaluation_seconds"] += time.perf_counter() - began
        yield Samples(step=step, source=name, path=str(path), count=count, columns=columns, nfe=source.nfe)

    def evaluate_student(self, key: str, samples: int) -> Iterator[Event]:
        """Measure what is trained; the figures are kept under `key`."""
        self.figures[key] = self.measure(self.student, samples)
        yield self.evaluation("student", self.figures[key], samples, self.student.nfe)

    def measure(self, source: SamplingSource, samples: int) -> dict[str, float]:
        """Figures of a source; pause and cancel are heeded meanwhile."""
        assert self.evaluator is not None
        began = time.perf_counter()
        values = self.evaluator.measure(source, samples, between=self._heed)
        self.clock["evaluation_seconds"] += time.perf_counter() - began
        return values

    def evaluation(self, source: Any, values: dict[str, float], samples: int, nfe: int) -> Event:
        return Evaluation(step=self.training.step, source=source, values=values, samples=samples, nfe=nfe)

    def times(self) -> dict[str, float]:
        """For the summary."""
        return {name: round(value, 2) for name, value in self.clock.items()}

    def _checkpoint_if_due(self) -> Iterator[Event]:
        step = self.training.step
        due = step > 0 and (step == self._spec.iterations or step % self._spec.schedule.checkpoint_every == 0)
        if (due and "checkpoint" not in self.done) or self.checkpoint_wanted:
            self.done.append("checkpoint")
            yield self._checkpoint()

    def _checkpoint(self) -> Event:
        self.checkpoint_wanted = False
        state = self.training.state()
        path = Path("checkpoints") / checkpoint_name(self.training.step)
        facts = {**state.facts, "done": self.done, "figures": self.figures}
        size, sha256 = write_checkpoint(self.run_dir / path, StoredState(state.tensors, facts))
        # Beside it, since a checkpoint's bytes must not depend on the clock.
        write_atomically(_clock_file(self.run_dir / path), json.dumps(self.clock).encode())
        return Checkpoint(step=self.training.step, path=str(path), size=size, sha256=sha256)


def _clock_file(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".clock.json")


def prepare_torch(spec: RunSpec | PretrainSpec) -> None:
    """Set this process's threads, precision and determinism. Raises ValueError where the device is not there."""
    if spec.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' was asked for, but PyTorch finds no CUDA device here; use 'cpu' or 'auto'")
    if spec.threads:
        torch.set_num_threads(spec.threads)
    full_fp32()
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    if spec.device == "cuda":
        # Where there is no kernel that repeats bitwise PyTorch warns, and the run goes on with another.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when the first product is computed
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined] # finds mistakes only
