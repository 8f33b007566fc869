"""A distilled student, or a teacher, as something to draw images from."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from simcore.checkpoint import CheckpointError, read_checkpoint
from simcore.config import RunSpec
from simcore.evaluation import SamplingSource, student_source, teacher_source
from simcore.teacher_card import TeacherCard
from simcore.teachers import build_denoiser, load_teacher


def load_source(reference: str, teacher_steps: int = 18) -> tuple[TeacherCard, SamplingSource]:
    """A checkpoint file (the student's moving average, one step) or a teacher's reference (Heun, `teacher_steps`).

    Raises CheckpointError or TeacherError.
    """
    if not reference.endswith(".safetensors"):
        card, denoiser = load_teacher(reference)
        return card, teacher_source(denoiser, card.image_shape, card.label_dim, teacher_steps)
    stored = read_checkpoint(Path(reference))
    try:
        card, spec = TeacherCard.model_validate(stored.facts["teacher"]), RunSpec.model_validate(stored.facts["spec"])
        student = build_denoiser(card.config).eval().requires_grad_(False)
        student.load_state_dict(stored.part("ema"))
    except (KeyError, ValidationError, RuntimeError) as error:
        raise CheckpointError(f"{reference} holds no student that this version can read: {error}") from None
    return card, student_source(student, card.image_shape, card.label_dim, spec.generator.init_sigma)
