"""Train a teacher by denoising score matching (EDM) and write it as a teacher folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_tensors

from simcore.checkpoint import write_atomically
from simcore.config import EvaluationSpec
from simcore.datasets import Dataset, for_training
from simcore.ema import average_copy, ema_decay, update_average
from simcore.evaluation import has_evaluator, open_evaluator, teacher_source
from simcore.figures import POINT_SETS, figures_of
from simcore.noise import draw_times, sigma_range
from simcore.objectives import denoising_loss
from simcore.point_sets import POINT_SHAPE
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
    denoiser = build_denoiser({**config, "dropout": spec.dropout} if spec.dropout else config).train()
    average = average_copy(build_denoiser(config))
    average.load_state_dict(denoiser.state_dict())
    adam = spec.optimizer
    optimizer = torch.optim.Adam(denoiser.parameters(), betas=(adam.beta1, adam.beta2), eps=adam.epsilon)
    generator = generator_for(spec.seed, "pretraining")
    time, weighting = spec.network.loss
    for step in range(spec.iterations):
        rate = adam.learning_rate * min(1.0, (step + 1) / max(adam.warm_up, 1)) * (1 - step / spec.iterations)
        for group in optimizer.param_groups:
            group["lr"] = rate
        chosen = torch.randint(len(train), (spec.batch_size,), generator=generator)
        batch = train.batch(chosen)
        labels = None if train.labels is None else one_hot(train.labels[chosen], config["label_dim"])
        t = draw_times(time, len(batch), sigma_range(denoiser), generator)
        noise = torch.randn(batch.shape, generator=generator)
        loss = denoising_loss(denoiser, batch, t, noise, labels, WEIGHTINGS[weighting]).mean()
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
    kind = "points" if data.image_shape == POINT_SHAPE else "images"
    card = TeacherCard(
        name=data.name,
        title=_title(data.name, config["img_resolution"]),
        description=f"Denoiser trained on the training split of {data.name} ({len(data.train):,} {kind}).",
        dataset=data.reference,
        licence=data.licence,
        source=data.source,
        parameters=sum(p.numel() for p in denoiser.parameters()),
        sha256=hashlib.sha256(content).hexdigest(),
        config=config,
        command=command,
        evaluation=_evaluate(denoiser, data, config["label_dim"], spec.evaluation_samples),
    )
    write_atomically(out / "teacher.json", (card.model_dump_json(indent=2) + "\n").encode())
    share = len(data.heldout) / (len(data.train) + len(data.heldout))
    write_atomically(out / "README.md", readme(card, spec, f"{100 * share:.0f} %").encode())
    return card


def _title(dataset: str, side: int) -> str:
    if dataset in POINT_SETS:
        return f"{dataset.replace('-', ' ').title()}, points in the plane"
    return f"{'MNIST' if dataset == 'mnist' else dataset[:1].upper() + dataset[1:]}, {side}×{side}"


def _evaluate(denoiser: EDMPrecond, data: Dataset, label_dim: int, samples: int) -> TeacherEvaluation | None:
    if not has_evaluator(data.reference):
        return None
    evaluator = open_evaluator(data.reference)
    steps = EvaluationSpec().teacher_steps
    return TeacherEvaluation(
        samples=samples,
        steps=steps,
        extractor_sha256=evaluator.extractor_sha256,
        values=evaluator.measure(teacher_source(denoiser, data.image_shape, label_dim, steps), samples),
    )


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
