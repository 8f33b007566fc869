"""Fréchet distance and class accuracy, the same way for teacher and student."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from simcore import fidelity
from simcore.datasets import Images, load_dataset
from simcore.extractors import Extractor, bundled_extractor, open_extractor
from simcore.images import to_uint8
from simcore.preconditioning import EDMPrecond
from simcore.sampling import balanced_classes, heun, one_hot, one_step
from simcore.seeds import generator_for

# Every evaluation draws the same latents, whatever the run's seed: figures of different runs compare, and training
# is not disturbed.
_LATENT_SEED = 0
_BATCH = 500

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
    """Measures samples against a data set's training and held-out images, which are read in batches.

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
        self._train, self._heldout = (_statistics(part, self._extractor) for part in (data.train, data.heldout))

    def measure(
        self, source: SamplingSource, samples: int, between: Callable[[], None] = lambda: None
    ) -> dict[str, float]:
        """`frechet` (to the training images), `frechet_heldout` and, where the extractor knows the source's classes,
        `accuracy`.

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
        measured = moments.statistics()
        values = {
            "frechet": fidelity.frechet_distance(measured, self._train),
            "frechet_heldout": fidelity.frechet_distance(measured, self._heldout),
        }
        if source.label_dim and source.label_dim == self._extractor.classes:
            values["accuracy"] = right / samples
        return values


def _statistics(images: Images, extractor: Extractor) -> fidelity.Statistics:
    moments = fidelity.Moments()
    for pixels in images.pixel_batches(extractor.batch_size(images.image_shape)):
        moments.add(extractor(pixels)[0])
    return moments.statistics()
