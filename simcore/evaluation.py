"""The figures of merit (see `simcore.figures`), measured the same way for teacher and student."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from simcore import fidelity
from simcore.classifier import has_extractor
from simcore.datasets import load_dataset
from simcore.extractors import bundled_extractor, open_extractor
from simcore.figures import POINT_SETS
from simcore.images import to_uint8
from simcore.point_figures import Support, modes_kept, sliced_wasserstein
from simcore.point_sets import POINT_SHAPE, Points, draw_points
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
    """How images come about: `sample(latents, labels)` on `device`, `nfe` network evaluations each.

    heldout_of: the data set whose held-out images its teacher never saw, trained on the others; "" where unknown.
    """

    sample: Sampler
    shape: tuple[int, int, int]
    label_dim: int
    device: torch.device
    nfe: int
    heldout_of: str = ""


def student_source(
    generator: nn.Module, shape: tuple[int, int, int], label_dim: int, init_sigma: float, heldout_of: str = ""
) -> SamplingSource:
    """One step of the generator."""
    device = next(generator.parameters()).device

    def sample(latents: Tensor, labels: Tensor | None) -> Tensor:
        return one_step(generator, latents, labels, init_sigma)

    return SamplingSource(sample, shape, label_dim, device, 1, heldout_of)


def teacher_source(
    denoiser: EDMPrecond, shape: tuple[int, int, int], label_dim: int, steps: int, heldout_of: str = ""
) -> SamplingSource:
    """`steps` steps of the deterministic Heun sampler."""
    device = next(denoiser.parameters()).device

    def sample(latents: Tensor, labels: Tensor | None) -> Tensor:
        return heun(denoiser, latents, labels, steps)

    return SamplingSource(sample, shape, label_dim, device, 2 * steps - 1, heldout_of)


@torch.no_grad()
def draw(
    source: SamplingSource, count: int, seed: int, purpose: str, classes: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of (images, classes), from latents fixed by seed and purpose. Without classes [count]: balanced ones."""
    generator = generator_for(seed, purpose)
    classes = balanced_classes(count, source.label_dim) if classes is None else classes
    for chosen in torch.split(classes, _BATCH):
        latents = torch.randn(len(chosen), *source.shape, generator=generator)
        labels = one_hot(chosen, source.label_dim)
        labels = labels.to(source.device) if labels is not None else None
        yield source.sample(latents.to(source.device), labels), chosen


class Evaluator:
    """Measures samples against a data set's images, which are read in batches.

    Where the data set comes divided, and where the samples' teacher was trained here on its training images, those are
    what they are compared with, and the held-out images besides. Else they are compared with all of its images: those
    that a published teacher was trained on.

    dataset, extractor: references, as `load_dataset` and `open_extractor` take them; without an extractor the bundled
    one. Raises ValueError where either is unknown or they do not fit.
    """

    def __init__(self, dataset: str, extractor: str | None = None) -> None:
        data = load_dataset(dataset)
        self._extractor = open_extractor(extractor) if extractor else bundled_extractor(dataset)
        self.extractor_sha256 = self._extractor.sha256
        self._shape = data.image_shape
        if self._extractor.channels not in (self._shape[0], 3):
            raise ValueError(
                f"the extractor takes {self._extractor.channels}-channel images; data set '{data.name}' has "
                f"{self._shape[0]} channels"
            )
        self._data = data
        self._train, self._heldout, self._all = (fidelity.Moments() for _ in range(3))
        for images, moments in ((data.train, self._train), (data.heldout, self._heldout)):
            for pixels in images.pixel_batches(self._extractor.batch_size(images.image_shape)):
                features = self._extractor(pixels)[0]
                moments.add(features)
                self._all.add(features)

    def measure(
        self, source: SamplingSource, samples: int, between: Callable[[], None] = lambda: None
    ) -> dict[str, float]:
        """`frechet`, `frechet_heldout` where the source's teacher never saw the held-out images and, where the
        extractor knows the source's classes, `accuracy`.

        `between` is called between batches and may raise to abandon the evaluation. Raises ValueError for a source of
        images of another shape.
        """
        if source.shape != self._shape:
            given, wanted = ("×".join(map(str, shape)) for shape in (source.shape, self._shape))
            raise ValueError(f"the samples are {given}, the data set's images {wanted}")
        moments, right = fidelity.Moments(), 0
        for images, chosen in draw(source, samples, _LATENT_SEED, "evaluation"):
            features, logits = self._extractor(to_uint8(images))
            moments.add(features)
            right += int((logits.argmax(1) == chosen).sum()) if logits is not None else 0
            between()
        parts = {"frechet": self._all}
        if self._data.split == "published" or source.heldout_of == self._data.reference:
            parts = {"frechet": self._train, "frechet_heldout": self._heldout}
        measured = moments.statistics()
        values = {name: fidelity.frechet_distance(measured, part.statistics()) for name, part in parts.items()}
        if source.label_dim and source.label_dim == self._extractor.classes:
            values["accuracy"] = right / samples
        return values


class PointEvaluator:
    """Measures points in the plane against fresh ones of their distribution. No feature extractor is needed."""

    extractor_sha256 = ""

    def __init__(self, dataset: str) -> None:
        self._dataset = dataset
        data = load_dataset(dataset)
        self._fresh = draw_points(dataset, _FRESH_POINTS, seed=1)
        train, heldout = (_coordinates(part.batch(torch.arange(len(part)))) for part in (data.train, data.heldout))
        self._support = Support(train, heldout)

    def measure(
        self, source: SamplingSource, samples: int, between: Callable[[], None] = lambda: None
    ) -> dict[str, float]:
        """`sliced_wasserstein`, `precision` (the share where the data lies) and, for eight Gaussians, `modes` kept.

        `between` is called between batches. Raises ValueError on non-finite points and for a source of images.
        """
        if source.shape != POINT_SHAPE:
            raise ValueError(f"the samples are images, those of data set '{self._dataset}' points in the plane")
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


def has_evaluator(dataset: str) -> bool:
    """Whether samples of that data set can be measured with what is bundled."""
    return dataset in POINT_SETS or has_extractor(dataset)


def open_evaluator(dataset: str, extractor: str | None = None) -> Evaluator | PointEvaluator:
    """What measures samples of that data set; `extractor` as for `Evaluator`. Raises ValueError as that does."""
    if dataset not in POINT_SETS:
        return Evaluator(dataset, extractor)
    if extractor:
        raise ValueError(f"'{dataset}' holds points, which are measured without a feature extractor")
    return PointEvaluator(dataset)
