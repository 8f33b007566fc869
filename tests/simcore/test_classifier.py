from __future__ import annotations

from pathlib import Path

import pytest

from simcore.classifier import BUNDLED_EXTRACTORS, ExtractorError, accuracy, load_extractor, train_classifier
from simcore.datasets import load_dataset
from tests.simcore.datasets.files import named, random_pixels, write_folder


def test_the_bundled_extractor_is_as_accurate_on_unseen_digits_as_its_card_says() -> None:
    card, classifier = load_extractor("digits")
    found = accuracy(classifier, load_dataset("digits").heldout)
    assert found == pytest.approx(card.heldout_accuracy, abs=1e-4)
    assert found > 0.98


def test_training_the_extractor_again_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert list(train_classifier("digits", tmp_path / name, iterations=3)) == [1, 2, 3]
    first, second = ((tmp_path / name / "extractor.safetensors").read_bytes() for name in ("a", "b"))
    assert first == second
    assert {path.name for path in (tmp_path / "a").iterdir()} == {
        path.name for path in (BUNDLED_EXTRACTORS / "digits").iterdir()
    }


def test_a_data_set_without_extractor_is_told() -> None:
    with pytest.raises(ExtractorError, match="no usable feature extractor for 'checkerboard'"):
        load_extractor("checkerboard")


@pytest.mark.parametrize("iterations", [0, -3])
def test_an_untrained_extractor_is_not_written(iterations: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"iterations has to be at least 1 \(given: {iterations}\)"):
        list(train_classifier("digits", tmp_path / "a", iterations=iterations))
    assert not (tmp_path / "a").exists()


def test_a_classifier_needs_labels(tmp_path: Path) -> None:
    write_folder(tmp_path / "odd", named(random_pixels(5, (1, 7, 7))))
    with pytest.raises(ValueError, match="data set 'odd' has no labels; a classifier needs them"):
        next(train_classifier(str(tmp_path / "odd"), tmp_path / "extractor"))
