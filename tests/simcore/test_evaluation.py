from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from simcore import fidelity
from simcore.classifier import BUNDLED_EXTRACTORS, ExtractorError, train_classifier
from simcore.datasets import load_dataset
from simcore.evaluation import Evaluator, SamplingSource, draw, student_source
from simcore.teachers import load_teacher
from tests.simcore.datasets.files import (
    as_python,
    cifar_batches,
    labels_file,
    named,
    pairs,
    random_pixels,
    write_tar,
    write_zip,
)

SHAPE = (1, 8, 8)


def replay(images: torch.Tensor, heldout_of: str = "digits") -> SamplingSource:
    """A source that hands out given images in turn, its teacher trained on that data set's training images."""
    remaining = [images]

    def sample(latents: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        batch, remaining[0] = remaining[0][: len(latents)], remaining[0][len(latents) :]
        return batch

    return SamplingSource(sample, SHAPE, 0, torch.device("cpu"), 1, heldout_of)


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    return Evaluator("digits")


def moments(*batches: torch.Tensor) -> fidelity.Statistics:
    found = fidelity.Moments()
    for batch in batches:
        found.add(batch)
    return found.statistics()


def test_the_frechet_distance_of_gaussians_is_the_closed_form() -> None:
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(100_000, 3, generator=generator, dtype=torch.float64)
    second = 2 * torch.randn(100_000, 3, generator=generator, dtype=torch.float64) + 1
    found = fidelity.frechet_distance(moments(first), moments(second))
    assert found == pytest.approx(3 * (1 + (2 - 1) ** 2), rel=0.02)


def test_moments_in_batches_are_those_of_all_features_together() -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics  # after simcore.fidelity

    features = torch.randn(1000, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1e4
    found = moments(*features.split([1, 499, 200, 300]))
    reference = fid_features_to_statistics(features)
    assert found["mu"] == pytest.approx(reference["mu"], rel=1e-12)
    assert found["sigma"] == pytest.approx(reference["sigma"], abs=1e-9)
    with pytest.raises(ValueError, match=r"needs at least two images \(given: 1\)"):
        moments(features[:1])


def test_the_training_images_are_at_distance_zero_from_themselves(evaluator: Evaluator) -> None:
    images = load_dataset("digits").train.images
    measured = evaluator.measure(replay(images), len(images))
    assert measured["frechet"] == pytest.approx(0, abs=1e-3)
    assert measured["frechet_heldout"] > 1
    assert "accuracy" not in measured


def test_worse_images_are_further_away(evaluator: Evaluator) -> None:
    images = load_dataset("digits").train.images
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    distances = [evaluator.measure(replay(images + s * noise), len(images))["frechet"] for s in (0.1, 0.3, 1.0)]
    assert 0 < distances[0] < distances[1] < distances[2]


def test_accuracy_counts_the_classes_asked_for(evaluator: Evaluator) -> None:
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


def test_an_evaluation_can_be_abandoned_between_batches(evaluator: Evaluator) -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        evaluator.measure(replay(load_dataset("digits").train.images), 1000, between=stop)


@pytest.fixture(scope="module")
def digits_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 of the digits as PNG files with labels."""
    data = load_dataset("digits").train
    pixels, labels = data.pixels(torch.arange(400)).numpy(), data.labels
    assert labels is not None
    files = named(pixels)
    path = tmp_path_factory.mktemp("digits") / "digits.zip"
    return write_zip(path, files | {"dataset.json": labels_file(pairs(list(files), labels[:400].tolist()))})


def test_a_data_set_from_a_file_is_measured_like_the_same_images_bundled(digits_zip: Path) -> None:
    extractor = str(BUNDLED_EXTRACTORS / "digits")
    images = load_dataset(str(digits_zip)).train
    source = replay(images.batch(torch.arange(320)), str(digits_zip))
    measured = Evaluator(str(digits_zip), extractor).measure(source, 320)
    assert measured["frechet"] == pytest.approx(0, abs=1e-3)
    assert measured["frechet_heldout"] > 1


@pytest.mark.parametrize("heldout_of", ["", "digits"])
def test_what_was_not_trained_on_our_split_is_compared_with_all_images(heldout_of: str, digits_zip: Path) -> None:
    data, evaluator = load_dataset(str(digits_zip)), Evaluator(str(digits_zip), str(BUNDLED_EXTRACTORS / "digits"))
    everything = torch.cat([part.batch(torch.arange(len(part))) for part in (data.train, data.heldout)])
    measured = evaluator.measure(replay(everything, heldout_of), 400)
    assert set(measured) == {"frechet"}
    assert measured["frechet"] == pytest.approx(0, abs=1e-3)
    assert evaluator.measure(replay(everything, str(digits_zip)), 400)["frechet"] > 0.01


def test_the_test_batch_of_cifar_is_held_out_whoever_trained_the_teacher(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "cifar-10-python.tar.gz", as_python(cifar_batches(20)))
    data = load_dataset(str(path))
    images = data.train.batch(torch.arange(len(data.train)))
    source = replace(replay(images, ""), shape=(3, 32, 32))
    with torch.random.fork_rng():
        list(train_classifier(str(path), tmp_path / "extractor", iterations=1))
    measured = Evaluator(str(path), str(tmp_path / "extractor")).measure(source, len(images))
    assert measured["frechet"] == pytest.approx(0, abs=1e-3)
    assert measured["frechet_heldout"] > 0


def test_what_does_not_fit_the_data_set_is_refused(digits_zip: Path, tmp_path: Path) -> None:
    with pytest.raises(ExtractorError, match=r"no feature extractor is bundled for data set '.*digits.zip'; give one"):
        Evaluator(str(digits_zip))
    colours = write_zip(tmp_path / "colours.zip", named(random_pixels(10)))
    with pytest.raises(ValueError, match="the extractor takes 1-channel images; data set 'colours' has 3 channels"):
        Evaluator(str(colours), "digits")
    source = SamplingSource(lambda z, labels: z, (1, 4, 4), 0, torch.device("cpu"), 1)
    with pytest.raises(ValueError, match="the samples are 1×4×4, the data set's images 1×8×8"):
        Evaluator("digits").measure(source, 100)
