"""Train a teacher by denoising score matching (EDM) and write it as a teacher folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_tensors

from simcore.checkpoint import write_atomically
from simcore.classifier import has_extractor
from simcore.config import EvaluationSpec, TimeSpec
from simcore.datasets import Dataset, for_training
from simcore.ema import average_copy, ema_decay, update_average
from simcore.evaluation import Evaluator, teacher_source
from simcore.noise import draw_times, sigma_range
from simcore.objectives import denoising_loss
from simcore.preconditioning import EDMPrecond
from simcore.pretrain_config import PretrainSpec
from simcore.sampling import one_hot
from simcore.seeds import generator_for
from simcore.teacher_card import TeacherCard, TeacherEvaluation
from simcore.teachers import build_denoiser
from simcore.weighting import WEIGHTINGS


def denoiser_config(spec: PretrainSpec, data: Dataset) -> dict[str, Any]:
    """What `build_denoiser` takes for this spec and data set. Raises ValueError where they do not go together."""
    channels, side, width = data.image_shape
    if side != width:
        raise ValueError(f"the network takes square images; those of data set '{data.name}' are {width}×{side}")
    if spec.conditional and not data.classes:
        raise ValueError(f"data set '{data.name}' has no labels: train without them by --set conditional=false")
    return {
        "preconditioning": "edm",
        "model_type": "CompactUNet",
        "img_resolution": side,
        "img_channels": channels,
        "label_dim": data.classes if spec.conditional else 0,
        **spec.network.model_dump(mode="json"),
    }


def pretrain(spec: PretrainSpec, data: Dataset) -> Iterator[tuple[int, float, EDMPrecond]]:
    """Train on the training split. Yields (finished iterations, loss, the averaged denoiser) after each update."""
    config = denoiser_config(spec, data)
    train = for_training(data.train)
    torch.manual_seed(spec.seed)  # weights and dropout
    denoiser = build_denoiser({**config, "dropout": spec.dropout}).train()
    average = average_copy(build_denoiser(config))
    average.load_state_dict(denoiser.state_dict())
    adam = spec.optimizer
    optimizer = torch.optim.Adam(denoiser.parameters(), betas=(adam.beta1, adam.beta2), eps=adam.epsilon)
    generator = generator_for(spec.seed, "pretraining")
    for step in range(spec.iterations):
        rate = adam.learning_rate * min(1.0, (step + 1) / max(adam.warm_up, 1)) * (1 - step / spec.iterations)
        for group in optimizer.param_groups:
            group["lr"] = rate
        chosen = torch.randint(len(train), (spec.batch_size,), generator=generator)
        batch = train.batch(chosen)
        labels = None if train.labels is None else one_hot(train.labels[chosen], config["label_dim"])
        t = draw_times(TimeSpec(law="edm"), len(batch), sigma_range(denoiser), generator)
        noise = torch.randn(batch.shape, generator=generator)
        loss = denoising_loss(denoiser, batch, t, noise, labels, WEIGHTINGS["edm"]).mean()
        if not loss.isfinite():
            raise ValueError(f"the loss is not finite in iteration {step + 1}: try a smaller learning rate")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if adam.gradient_clip:
            torch.nn.utils.clip_grad_norm_(denoiser.parameters(), adam.gradient_clip)
        optimizer.step()
        update_average(average, denoiser, ema_decay(spec.ema, step * spec.batch_size, spec.batch_size))
        yield step + 1, float(loss.item()), average


def write_teacher(out: Path, spec: PretrainSpec, data: Dataset, denoiser: EDMPrecond, command: str) -> TeacherCard:
    """Measure the teacher where an extractor is bundled; write its weights, `teacher.json` and `README.md`."""
    config = denoiser_config(spec, data)
    content = save_tensors(denoiser.state_dict())
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "teacher.safetensors", content)
    card = TeacherCard(
        name=data.name,
        title=f"{data.name[:1].upper()}{data.name[1:]}, {config['img_resolution']}×{config['img_resolution']}",
        description=f"EDM denoiser trained on the training split of {data.name} ({len(data.train)} images).",
        dataset=data.reference,
        licence=data.licence,
        source=data.source,
        parameters=sum(p.numel() for p in denoiser.parameters()),
        sha256=hashlib.sha256(content).hexdigest(),
        config=config,
        command=command,
        evaluation=_evaluate(denoiser, data.reference, data.image_shape, config["label_dim"]),
    )
    write_atomically(out / "teacher.json", (card.model_dump_json(indent=2) + "\n").encode())
    share = len(data.heldout) / (len(data.train) + len(data.heldout))
    write_atomically(out / "README.md", readme(card, spec, f"{100 * share:.0f} %").encode())
    return card


def _evaluate(
    denoiser: EDMPrecond, dataset: str, shape: tuple[int, int, int], label_dim: int
) -> TeacherEvaluation | None:
    if not has_extractor(dataset):
        return None
    settings = EvaluationSpec()
    evaluator = Evaluator(dataset)
    source = teacher_source(denoiser, shape, label_dim, settings.teacher_steps)
    return TeacherEvaluation(
        samples=settings.final_samples,
        steps=settings.teacher_steps,
        extractor_sha256=evaluator.extractor_sha256,
        values=evaluator.measure(source, settings.final_samples),
    )


def readme(card: TeacherCard, spec: PretrainSpec, heldout: str = "20 %") -> str:
    """The model card: training, quality, licences."""
    figures = "Not measured: no feature extractor is bundled for this data set."
    if card.evaluation is not None:
        values = card.evaluation.values
        figures = "\n".join(
            [
                f"{card.evaluation.samples:,} samples with balanced classes, {card.evaluation.steps}-step Heun "
                f"({2 * card.evaluation.steps - 1} evaluations), in the bundled extractor's features:\n",
                f"* Fréchet distance to the training images: {values['frechet']:.2f}",
                f"* Fréchet distance to the held-out images: {values['frechet_heldout']:.2f}",
                *([f"* class accuracy: {values['accuracy']:.2%}"] if "accuracy" in values else []),
            ]
        )
    return f"""# {card.title}: a diffusion teacher

{card.description} {card.parameters:,} parameters, EDM preconditioning,
{"class-conditional" if card.label_dim else "unconditional"}.

## Training

Denoising loss with EDM's noise levels and weights, Adam, learning rate {spec.optimizer.learning_rate} with warm-up
over {spec.optimizer.warm_up} iterations and linear decay, batch {spec.batch_size}, {spec.iterations:,} iterations,
dropout {spec.dropout}, seed {spec.seed}; the moving average of the weights is kept.
The held-out images ({heldout}) were never seen.

Reproduce: `{card.command}`

## Quality

{figures}

## Licence

Weights: {card.licence}. {card.source}.
"""
