from __future__ import annotations

import pytest
import torch

from simcore import fidelity
from simcore.datasets import load_dataset
from simcore.evaluation import ImageEvaluator, SamplingSource, draw, student_source
from simcore.teachers import load_teacher

SHAPE = (1, 8, 8)


def replay(images: torch.Tensor) -> SamplingSource:
    """A source that hands out given images in turn."""
    remaining = [images]

    def sample(latents: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        batch, remaining[0] = remaining[0][: len(latents)], remaining[0][len(latents) :]
        return batch

    return SamplingSource(sample, SHAPE, 0, torch.device("cpu"), 1)


@pytest.fixture(scope="module")
def evaluator() -> ImageEvaluator:
    return ImageEvaluator("digits")


def test_the_frechet_distance_of_gaussians_is_the_closed_form() -> None:
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(100_000, 3, generator=generator, dtype=torch.float64)
    second = 2 * torch.randn(100_000, 3, generator=generator, dtype=torch.float64) + 1
    found = fidelity.frechet_distance(fidelity.statistics(first), fidelity.statistics(second))
    assert found == pytest.approx(3 * (1 + (2 - 1) ** 2), rel=0.02)


def test_the_training_images_are_at_distance_zero_from_themselves(evaluator: ImageEvaluator) -> None:
    images = load_dataset("digits").train.images
    measured = evaluator.measure(replay(images), len(images))
    assert measured["frechet"] == pytest.approx(0, abs=1e-3)
    assert measured["frechet_heldout"] > 1
    assert "accuracy" not in measured


def test_worse_images_are_further_away(evaluator: ImageEvaluator) -> None:
    images = load_dataset("digits").train.images
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    distances = [evaluator.measure(replay(images + s * noise), len(images))["frechet"] for s in (0.1, 0.3, 1.0)]
    assert 0 < distances[0] < distances[1] < distances[2]


def test_accuracy_counts_the_classes_asked_for(evaluator: ImageEvaluator) -> None:
    data = load_dataset("digits").train
    by_class = [data.images[data.labels == label] for label in range(10)]

    def right(latents: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        assert labels is not None
        return torch.stack([by_class[int(label)][i % 100] for i, label in enumerate(labels.argmax(1))])

    def wrong(latents: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        assert labels is not None
        return right(latents, labels.roll(1, dims=1))

    for sample, expected in ((right, 1.0), (wrong, 0.0)):
        source = SamplingSource(sample, SHAPE, 10, torch.device("cpu"), 1)
        assert evaluator.measure(source, 200)["accuracy"] == pytest.approx(expected, abs=0.02)


def test_drawing_is_fixed_by_seed_and_purpose_with_balanced_classes() -> None:
    _, denoiser = load_teacher("bundled:digits")
    source = student_source(denoiser, SHAPE, 10, 2.5)
    first, again = (list(draw(source, 600, 0, "a")) for _ in range(2))
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(first, again, strict=True))
    assert [len(images) for images, _ in first] == [500, 100]
    assert torch.bincount(torch.cat([classes for _, classes in first])).tolist() == [60] * 10
    other_seed, other_purpose = next(draw(source, 600, 1, "a")), next(draw(source, 600, 0, "b"))
    assert not torch.equal(first[0][0], other_seed[0])
    assert not torch.equal(first[0][0], other_purpose[0])


def test_an_evaluation_can_be_abandoned_between_batches(evaluator: ImageEvaluator) -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        evaluator.measure(replay(load_dataset("digits").train.images), 1000, between=stop)
