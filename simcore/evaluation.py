"""The figures of merit (see `simcore.figures`), measured the same way for teacher and student."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from simcore import fidelity
from simcore.classifier import has_extractor, load_extractor
from simcore.datasets import load_dataset
from simcore.images import to_uint8
from simcore.point_figures import Support, modes_kept, sliced_wasserstein
from simcore.point_sets import POINT_SETS, Points, draw_points
from simcore.preconditioning import EDMPrecond
from simcore.sampling import balanced_classes, heun, one_hot, one_step
from simcore.seeds import generator_for

# Every evaluation draws the same latents, whatever the run's seed: figures of different runs compare, and training
# is not disturbed.
_LATENT_SEED = 0
_BATCH = 500
_FRESH_POINTS = 40_000

Sampler = Callable[[Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class SamplingSource:
    """How images come about: `sample(latents, labels)` on `device`, `nfe` network evaluations each."""

    sample: Sampler
    shape: tuple[int, int, int]
    label_dim: int
    device: torch.device
    nfe: int


def student_source(
    generator: nn.Module, shape: tuple[int, int, int], label_dim: int, init_sigma: float
) -> SamplingSource:
    """One step of the generator."""
    device = next(generator.parameters()).device
    return SamplingSource(lambda z, labels: one_step(generator, z, labels, init_sigma), shape, label_dim, device, 1)


def teacher_source(denoiser: EDMPrecond, shape: tuple[int, int, int], label_dim: int, steps: int) -> SamplingSource:
    """`steps` steps of the deterministic Heun sampler."""
    device = next(denoiser.parameters()).device
    return SamplingSource(lambda z, labels: heun(denoiser, z, labels, steps), shape, label_dim, device, 2 * steps - 1)


@torch.no_grad()
def draw(source: SamplingSource, count: int, seed: int, purpose: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of (images, classes) with balanced classes, from latents fixed by seed and purpose."""
    generator = generator_for(seed, purpose)
    classes = balanced_classes(count, source.label_dim)
    for chosen in torch.split(classes, _BATCH):
        latents = torch.randn(len(chosen), *source.shape, generator=generator)
        labels = one_hot(chosen, source.label_dim)
        labels = labels.to(source.device) if labels is not None else None
        yield source.sample(latents.to(source.device), labels), chosen


class Evaluator(Protocol):
    """Measures samples against a data set. `extractor_sha256`: of the feature extractor, "" where none is needed."""

    extractor_sha256: str

    def measure(
        self, source: SamplingSource, samples: int, between: Callable[[], None] = lambda: None
    ) -> dict[str, float]:
        """Figures by name. `between` is called between batches and may raise to abandon the evaluation."""


def evaluator_for(dataset: str) -> Evaluator | None:
    """What measures samples of that data set; None for images without a bundled feature extractor."""
    if dataset in POINT_SETS:
        return PointEvaluator(dataset)
    return ImageEvaluator(dataset) if has_extractor(dataset) else None


class ImageEvaluator:
    """Fréchet distances to the training and the held-out images; the class accuracy for a conditional source.

    Raises ValueError where the data set or its extractor is unknown.
    """

    def __init__(self, dataset: str) -> None:
        card, classifier = load_extractor(dataset)
        self.extractor_sha256 = card.sha256
        self._name = f"simcore-{dataset}"
        fidelity.register_classifier(self._name, classifier)
        data = load_dataset(dataset)
        self._train, self._heldout = (
            fidelity.statistics(fidelity.extract(self._name, to_uint8(part.images))[fidelity.FEATURES])
            for part in (data.train, data.heldout)
        )

    def measure(
        self, source: SamplingSource, samples: int, between: Callable[[], None] = lambda: None
    ) -> dict[str, float]:
        """See Evaluator."""
        pixels, classes = [], []
        for images, chosen in draw(source, samples, _LATENT_SEED, "evaluation"):
            pixels.append(to_uint8(images))
            classes.append(chosen)
            between()
        found = fidelity.extract(self._name, torch.cat(pixels))
        measured = fidelity.statistics(found[fidelity.FEATURES])
        values = {
            "frechet": fidelity.frechet_distance(measured, self._train),
            "frechet_heldout": fidelity.frechet_distance(measured, self._heldout),
        }
        if source.label_dim:
            values["accuracy"] = float((found[fidelity.LOGITS].argmax(1) == torch.cat(classes)).double().mean())
        return values


class PointEvaluator:
    """Distance to fresh points of the distribution, how many samples lie where it has mass, and how many modes live."""

    extractor_sha256 = ""

    def __init__(self, dataset: str) -> None:
        self._dataset = dataset
        data = load_dataset(dataset)
        self._fresh = draw_points(dataset, _FRESH_POINTS, seed=1)
        self._support = Support(_coordinates(data.train.images), _coordinates(data.heldout.images))

    def measure(
        self, source: SamplingSource, samples: int, between: Callable[[], None] = lambda: None
    ) -> dict[str, float]:
        """See Evaluator. Raises ValueError on non-finite points."""
        batches = []
        for points, _ in draw(source, samples, _LATENT_SEED, "evaluation"):
            batches.append(_coordinates(points))
            between()
        found = np.concatenate(batches)
        if not np.isfinite(found).all():
            raise ValueError("points hold non-finite values")
        values = {
            "sliced_wasserstein": sliced_wasserstein(found, self._fresh),
            "precision": self._support.share(found),
        }
        return values | ({"modes": float(modes_kept(found))} if self._dataset == "eight-gaussians" else {})


def _coordinates(images: Tensor) -> Points:
    """[N, 2, 1, 1] → float64 [N, 2]."""
    found: Points = images.flatten(1).double().cpu().numpy()
    return found
