from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simcore.classifier import BUNDLED_EXTRACTORS, ExtractorError, accuracy, load_extractor, train_classifier
from simcore.datasets import DatasetError, load_dataset
from simcore.pretrain_config import NetworkSpec, PretrainSpec, standard_spec
from simcore.pretraining import pretrain, write_teacher
from simcore.teachers import load_teacher
from tests.simcore.datasets.files import as_python, cifar_batches, named, random_pixels, write_folder, write_tar


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


def test_pretraining_lowers_the_loss_and_writes_a_teacher_that_loads(tmp_path: Path) -> None:
    network = NetworkSpec(model_channels=8)
    schedule: dict[str, Any] = {"iterations": 60, "batch_size": 32, "evaluation_samples": 100}
    spec = PretrainSpec(network=network, **schedule)
    spec = spec.model_copy(update={"optimizer": spec.optimizer.model_copy(update={"warm_up": 5})})
    data = load_dataset("digits")
    updates = list(pretrain(spec, data))
    losses, average = [loss for _, loss, _ in updates], updates[-1][2]
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])
    card = write_teacher(tmp_path, spec, data, average, "the command")
    loaded, denoiser = load_teacher(str(tmp_path))
    assert loaded == card
    assert card.image_shape == (1, 8, 8)
    assert card.evaluation is not None
    assert (card.evaluation.samples, card.evaluation.values["frechet"] > 0) == (100, True)
    assert all((a == b).all() for a, b in zip(denoiser.parameters(), average.parameters(), strict=True))
    assert "the command" in (tmp_path / "README.md").read_text()


def test_a_teacher_of_points_is_trained_by_the_noise_and_written_with_its_steps(tmp_path: Path) -> None:
    spec = standard_spec("two-moons").model_copy(update={"iterations": 100, "evaluation_samples": 500})
    data = load_dataset("two-moons")
    updates = list(pretrain(spec, data))
    losses = [loss for _, loss, _ in updates]
    assert losses[0] == pytest.approx(2, abs=0.5)  # of two coordinates of unit variance
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    card = write_teacher(tmp_path, spec, data, updates[-1][2], "the command")
    loaded, _ = load_teacher(str(tmp_path))
    assert loaded == card
    assert (card.image_shape, card.label_dim, card.config["steps"]) == ((2, 1, 1), 0, 1000)
    assert card.evaluation is not None
    assert "sliced_wasserstein" in card.evaluation.values
    assert "Sliced Wasserstein" in (tmp_path / "README.md").read_text()


def test_the_same_seed_trains_the_same_teacher() -> None:
    spec = PretrainSpec(network=NetworkSpec(model_channels=8), iterations=3, batch_size=8)
    data = load_dataset("digits")
    first, second, other = (
        [loss for _, loss, _ in pretrain(s, data)] for s in (spec, spec, spec.model_copy(update={"seed": 1}))
    )
    assert first == second != other


SMALL = PretrainSpec(network=NetworkSpec(model_channels=8), iterations=2, batch_size=8)


def test_a_teacher_trains_on_cifars_archive_and_its_card_names_the_data(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "cifar-10-python.tar.gz", as_python(cifar_batches(5)))
    data = load_dataset(str(path))
    *_, (step, _, average) = pretrain(SMALL, data)
    card = write_teacher(tmp_path / "teacher", SMALL, data, average, "the command")
    assert (step, card.image_shape, card.label_dim, card.evaluation) == (2, (3, 32, 32), 10, None)
    assert (card.name, card.title, card.dataset) == ("cifar10", "Cifar10, 32×32", str(path))
    assert card.licence == "not stated; it depends on the data"
    readme = (tmp_path / "teacher" / "README.md").read_text()
    assert "Data: CIFAR-10 (A. Krizhevsky, V. Nair, G. Hinton)" in readme
    assert "The held-out images (17 %) were never seen." in readme


def test_a_folder_trains_alike_whether_it_fits_into_memory_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_dataset(str(write_folder(tmp_path, named(random_pixels(20)))))
    spec = SMALL.model_copy(update={"conditional": False})
    decoded = [loss for _, loss, _ in pretrain(spec, data)]
    monkeypatch.setattr("simcore.pretraining.for_training", lambda images: images)
    assert [loss for _, loss, _ in pretrain(spec, data)] == decoded


def test_data_that_do_not_suit_the_network_are_refused(tmp_path: Path) -> None:
    wide = load_dataset(str(write_folder(tmp_path / "wide", named(random_pixels(5, (1, 4, 8))))))
    with pytest.raises(ValueError, match="takes square images; those of data set 'wide' are 8×4"):
        next(pretrain(SMALL.model_copy(update={"conditional": False}), wide))
    odd = load_dataset(str(write_folder(tmp_path / "odd", named(random_pixels(5, (1, 7, 7))))))
    with pytest.raises(ValueError, match="img_resolution 7 cannot be halved 1 times"):
        next(pretrain(SMALL.model_copy(update={"conditional": False}), odd))
    with pytest.raises(ValueError, match="'odd' has no labels: train without them by --set conditional=false"):
        next(pretrain(SMALL, odd))
    with pytest.raises(ValueError, match="data set 'odd' has no labels; a classifier needs them"):
        next(train_classifier(str(tmp_path / "odd"), tmp_path / "extractor"))


def test_damaged_images_are_told_before_training_starts(tmp_path: Path) -> None:
    files = named(random_pixels(20))
    write_folder(tmp_path, {name: content[:-40] for name, content in files.items()})
    with pytest.raises(DatasetError, match=r"cannot read '.*\.png': it is damaged or cut short"):
        next(pretrain(SMALL.model_copy(update={"conditional": False}), load_dataset(str(tmp_path))))
