"""The folder of a teacher that was trained here: weights, `teacher.json`, `README.md`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors.torch import save as save_tensors

from simcore.checkpoint import write_atomically
from simcore.datasets import Dataset
from simcore.figures import POINT_SETS, figures_of
from simcore.point_sets import POINT_SHAPE
from simcore.preconditioning import EDMPrecond
from simcore.pretrain_config import PretrainSpec
from simcore.teacher_card import TeacherCard, TeacherError, TeacherEvaluation


@dataclass(frozen=True)
class Origin:
    """What is said of a teacher that its training does not know; empty: what the data set says.

    command: what trains it again.
    """

    command: str
    title: str = ""
    licence: str = ""
    source: str = ""


def check_vacant(out: Path) -> None:
    """Raises TeacherError where the folder holds a teacher already."""
    if (out / "teacher.json").exists():
        raise TeacherError(f"{out} already holds a teacher; choose another folder")


def write_teacher(
    out: Path,
    spec: PretrainSpec,
    data: Dataset,
    denoiser: EDMPrecond,
    config: dict[str, Any],
    evaluation: TeacherEvaluation | None,
    origin: Origin,
) -> TeacherCard:
    """Write the teacher; `config` is what `build_denoiser` makes it from.

    Raises OSError, TeacherError where the folder holds another one.
    """
    content = save_tensors({name: value.cpu().contiguous() for name, value in denoiser.state_dict().items()})
    sha256 = hashlib.sha256(content).hexdigest()
    if not _is_written(out, sha256):  # a run that was killed after it wrote the teacher writes the same once more
        check_vacant(out)
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "teacher.safetensors", content)
    kind = "points" if data.image_shape == POINT_SHAPE else "images"
    card = TeacherCard(
        name=data.name,
        title=origin.title or _title(data.name, config["img_resolution"]),
        description=f"Denoiser trained on the training split of {data.name} ({len(data.train):,} {kind}).",
        dataset=data.reference,
        licence=origin.licence or data.licence,
        source=origin.source or data.source,
        parameters=sum(p.numel() for p in denoiser.parameters()),
        sha256=sha256,
        config=config,
        command=origin.command,
        trained_on_split=True,
        evaluation=evaluation,
    )
    share = len(data.heldout) / (len(data.train) + len(data.heldout))
    write_atomically(out / "README.md", readme(card, spec, f"{100 * share:.0f} %").encode())
    # Last: a folder with a card is a whole teacher.
    write_atomically(out / "teacher.json", (card.model_dump_json(indent=2) + "\n").encode())
    return card


def _is_written(out: Path, sha256: str) -> bool:
    try:
        return TeacherCard.model_validate_json((out / "teacher.json").read_bytes()).sha256 == sha256
    except (OSError, ValidationError):
        return False


def _title(dataset: str, side: int) -> str:
    if dataset in POINT_SETS:
        return f"{dataset.replace('-', ' ').title()}, points in the plane"
    return f"{'MNIST' if dataset == 'mnist' else dataset[:1].upper() + dataset[1:]}, {side}×{side}"


def readme(card: TeacherCard, spec: PretrainSpec, heldout: str = "20 %") -> str:
    """The model card: training, quality, licences."""
    figures = "Not measured: no feature extractor is bundled for this data set."
    if card.evaluation is not None:
        measured, features = (
            card.evaluation,
            ", in the bundled extractor's features" if card.evaluation.extractor_sha256 else "",
        )
        lines = [
            f"* {figure.help}: {figure.show(measured.values[figure.name])}"
            for figure in figures_of(card.dataset)
            if figure.name in measured.values
        ]
        figures = "\n".join(
            [
                f"{measured.samples:,} samples{' with balanced classes' if card.label_dim else ''}, "
                f"{measured.steps}-step Heun ({2 * measured.steps - 1} evaluations){features}:\n",
                *lines,
            ]
        )
    (time, weighting), rate = spec.network.loss, spec.optimizer.learning_rate
    return f"""# {card.title}: a diffusion teacher

{card.description} {card.parameters:,} parameters, preconditioning {spec.network.preconditioning},
{"class-conditional" if card.label_dim else "unconditional"}.

## Training

Denoising loss, noise levels {time.law}, weight {weighting}, Adam, learning rate {rate} with warm-up over
{spec.optimizer.warm_up} iterations and linear decay, batch {spec.batch_size}, {spec.iterations:,} iterations,
dropout {spec.dropout}, seed {spec.seed}; the moving average of the weights is kept.
The held-out {"points" if card.image_shape == POINT_SHAPE else "images"} ({heldout}) were never seen.

Reproduce: `{card.command}`

## Quality

{figures}

## Licence

Weights: {card.licence}. {card.source}.
"""
