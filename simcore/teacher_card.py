"""What a teacher is and where its weights lie, without loading them. Torch-free.

A teacher is a folder with `teacher.json` (this card) and `teacher.safetensors`. A reference to one is
`bundled:<name>` or the path of such a folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from simcore.config import Spec

BUNDLED_TEACHERS = Path(__file__).parent / "assets" / "teachers"


class TeacherEvaluation(Spec):
    """A measurement of the teacher, kept so that runs that would repeat it exactly need not."""

    samples: int
    steps: int
    extractor_sha256: str
    values: dict[str, float]


class TeacherCard(Spec):
    """A teacher's facts. `config` is what `simcore.teachers.build_denoiser` takes."""

    name: str
    title: str
    description: str
    dataset: str
    licence: str
    source: str
    parameters: int = Field(ge=1)
    sha256: str = Field(description="hash of teacher.safetensors", pattern="^[0-9a-f]{64}$")
    config: dict[str, Any]
    command: str = ""
    trained_on_split: bool = Field(
        False,
        description="whether it was trained here, on the training images of `dataset` as simcore divides it, and so "
        "never saw the held-out ones; of an imported teacher nobody knows",
    )
    evaluation: TeacherEvaluation | None = None

    @field_validator("config")
    @classmethod
    def _describes_images(cls, config: dict[str, Any]) -> dict[str, Any]:
        """What is asked of it without building the network is there."""
        wanted = {"img_resolution": 1, "img_channels": 1}
        wanted |= {"label_dim": 0} if "label_dim" in config else {}
        wanted |= {"steps": 2} if config.get("preconditioning") == "discrete_vp" else {}
        for name, least in wanted.items():
            if type(config.get(name)) is not int or config[name] < least:
                raise ValueError(f"{name} has to be a whole number from {least}, not {config.get(name)!r}")
        return config

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        side = int(self.config["img_resolution"])
        return int(self.config["img_channels"]), side, side

    @property
    def heldout_of(self) -> str:
        """The data set whose held-out images it never saw; "" where that is not known."""
        return self.dataset if self.trained_on_split else ""

    @property
    def label_dim(self) -> int:
        """Number of classes; 0 where the teacher is unconditional."""
        return int(self.config.get("label_dim", 0))


class TeacherError(ValueError):
    """A teacher cannot be found or read; the message says which and why."""


def teacher_folder(reference: str) -> Path:
    """The folder that `reference` names. Raises TeacherError where there is none."""
    name = reference.removeprefix("bundled:")
    folder = BUNDLED_TEACHERS / name if reference.startswith("bundled:") else Path(reference)
    if ("/" in name and reference.startswith("bundled:")) or not (folder / "teacher.json").is_file():
        known = ", ".join(bundled_references()) or "none"
        raise TeacherError(
            f"no teacher '{reference}'; bundled teachers: {known}; import-teacher and pretrain make others"
        )
    return folder


def bundled_references() -> list[str]:
    """References of the teachers that ship with simcore."""
    return [f"bundled:{card.parent.name}" for card in sorted(BUNDLED_TEACHERS.glob("*/teacher.json"))]


def read_card(reference: str) -> TeacherCard:
    """The card of a teacher. Raises TeacherError where it is missing or malformed."""
    path = teacher_folder(reference) / "teacher.json"
    try:
        return TeacherCard.model_validate_json(path.read_bytes())
    except OSError as error:
        raise TeacherError(f"cannot read {path}: {error.strerror or error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise TeacherError(f"{path} is not a readable teacher card: {place}: {first['msg']}") from None
