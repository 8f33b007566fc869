"""A distilled student, from a run's checkpoint or an exported file; and whatever else images can be drawn from."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import safetensors
import torch
from pydantic import Field, ValidationError
from torch import Tensor

from simcore.checkpoint import CheckpointError, read_checkpoint
from simcore.config import RunSpec, Spec
from simcore.evaluation import SamplingSource, draw, student_source, teacher_source
from simcore.preconditioning import EDMPrecond
from simcore.teacher_card import TeacherCard, TeacherError
from simcore.teachers import build_denoiser, load_teacher

# An exported file's metadata has this key and no other: safetensors does not order them.
METADATA_KEY = "simcore-student"


class TeacherFacts(Spec):
    """Whose weights a student started from."""

    name: str
    title: str
    dataset: str
    licence: str
    source: str
    sha256: str
    trained_on_split: bool = False

    @property
    def heldout_of(self) -> str:
        """As `TeacherCard.heldout_of`."""
        return self.dataset if self.trained_on_split else ""


class StudentCard(Spec):
    """A student's facts: what it takes to rebuild it, and where it comes from.

    It maps unit-normal latents [B, *image_shape] and one-hot labels [B, label_dim] to images from −1 to 1:
    g(z) = d(t*·latents, t*), with the denoiser d that `config` describes and t* = `init_sigma` (B.4).
    """

    format: int = Field(1, ge=1, le=1)
    config: dict[str, Any]
    init_sigma: float = Field(gt=0)
    image_shape: tuple[int, int, int]
    label_dim: int = Field(ge=0)
    teacher: TeacherFacts
    licence: str
    step: int = Field(ge=0)
    figures: dict[str, float] = Field(description="of these weights, and the number of samples; empty where unknown")
    run: dict[str, Any] = Field(description="the specification of the run that made it, but for its teacher's place")


@dataclass(frozen=True)
class Student:
    """A one-step generator: the moving average of a run's θ."""

    card: StudentCard
    generator: EDMPrecond

    @property
    def source(self) -> SamplingSource:
        """As what the samplers and the evaluation draw from."""
        card = self.card
        return student_source(
            self.generator, card.image_shape, card.label_dim, card.init_sigma, card.teacher.heldout_of
        )

    def sample(self, count: int, labels: Sequence[int] | None = None, seed: int = 0) -> Tensor:
        """`count` images [count, C, H, W] from about −1 to 1, the same for the same seed.

        labels: the class number of each; None: all classes in turn. Raises ValueError where they do not fit.
        """
        if count < 1:
            raise ValueError(f"count must be at least 1 (given: {count})")
        classes = None if labels is None else self._classes(count, labels)
        return torch.cat([batch for batch, _ in draw(self.source, count, seed, "samples", classes)])

    def _classes(self, count: int, labels: Sequence[int]) -> Tensor:
        if not self.card.label_dim:
            raise ValueError("this student knows no classes: leave labels out")
        classes = torch.as_tensor(labels)
        if classes.shape != (count,) or classes.is_floating_point():
            raise ValueError(f"labels must be {count} class numbers, one for each image")
        if not ((classes >= 0) & (classes < self.card.label_dim)).all():
            raise ValueError(f"labels must be class numbers from 0 to {self.card.label_dim - 1}")
        return classes


def load_student(path: Path | str) -> Student:
    """The student in an exported file or in a checkpoint (its moving average), on the CPU.

    Raises CheckpointError where the file is missing, damaged or of another kind.
    """
    path = Path(path)
    card, tensors = _exported(path) or _from_checkpoint(path)
    try:
        generator = build_denoiser(card.config).eval().requires_grad_(False)
        generator.load_state_dict(tensors)
    except (TeacherError, RuntimeError) as error:
        raise CheckpointError(f"{path} holds no student that this version can read: {error}") from None
    return Student(card, generator)


def card_path(path: Path) -> Path:
    """Where the card of an exported file lies: beside it."""
    return path.with_name(f"{path.name}.json")


def _exported(path: Path) -> tuple[StudentCard, dict[str, Tensor]] | None:
    """An exported file's card and weights; None where it is something else, or nothing."""
    with contextlib.suppress(OSError, safetensors.SafetensorError), safetensors.safe_open(path, "pt") as file:
        text = (file.metadata() or {}).get(METADATA_KEY)
        if text is None:
            return None
        _check_hash(path)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        try:
            return StudentCard.model_validate_json(text), tensors
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
            raise CheckpointError(f"{path} holds no student that this version can read: {fields}") from None
    return None


def _check_hash(path: Path) -> None:
    """Raises CheckpointError where the card beside the file tells another hash."""
    if not card_path(path).is_file():
        return
    try:
        told = json.loads(card_path(path).read_bytes())["sha256"]
    except (ValueError, TypeError, KeyError):
        raise CheckpointError(f"{card_path(path)} is not a readable card; export again, or remove it") from None
    with path.open("rb") as content:
        if file_digest(content, "sha256").hexdigest() != told:
            raise CheckpointError(f"{path} is damaged or not the file its card describes: the sha256 differs")


def _from_checkpoint(path: Path) -> tuple[StudentCard, dict[str, Tensor]]:
    stored = read_checkpoint(path)
    facts = stored.facts
    try:
        teacher, spec = TeacherCard.model_validate(facts["teacher"]), RunSpec.model_validate(facts["spec"])
        step = int(facts["step"])
        figures = dict(facts["figures"]["student"]) if "student" in facts["done"] else {}
    except (KeyError, ValidationError) as error:
        raise CheckpointError(f"{path} holds no student that this version can read: {error}") from None
    if figures:
        settings = spec.evaluation
        figures["samples"] = settings.final_samples if step == spec.iterations else settings.samples
    card = StudentCard(
        config=teacher.config,
        init_sigma=spec.generator.init_sigma,
        image_shape=teacher.image_shape,
        label_dim=teacher.label_dim,
        teacher=TeacherFacts.model_validate(teacher.model_dump(include=set(TeacherFacts.model_fields))),
        licence=f"Made from the weights of {teacher.title}, whose licence holds for it as well: {teacher.licence}",
        step=step,
        figures=figures,
        run=spec.model_dump(mode="json", exclude={"teacher"}),
    )
    return card, stored.part("ema")


def load_source(reference: str, teacher_steps: int = 18) -> tuple[str, SamplingSource]:
    """The data set of, and what draws from, a student's file (one step) or a teacher (Heun, `teacher_steps`).

    Raises CheckpointError or TeacherError.
    """
    if reference.endswith(".safetensors"):
        student = load_student(reference)
        return student.card.teacher.dataset, student.source
    card, denoiser = load_teacher(reference)
    source = teacher_source(denoiser, card.image_shape, card.label_dim, teacher_steps, card.heldout_of)
    return card.dataset, source
