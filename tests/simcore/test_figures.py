import pytest

from simcore.evaluation import has_evaluator, open_evaluator, teacher_source
from simcore.figures import figures_of
from simcore.teachers import load_teacher


def test_the_headline_is_a_distance_to_data() -> None:
    for dataset in ("digits", "mnist", "cifar10", "two-moons", "eight-gaussians"):
        assert figures_of(dataset)[0].distance


def test_values_are_shown_as_people_read_them() -> None:
    frechet, _, accuracy = figures_of("digits")
    wasserstein, precision, modes = figures_of("eight-gaussians")
    assert (frechet.show(2.0567), accuracy.show(0.9931)) == ("2.06", "99.3 %")
    assert (wasserstein.show(0.01948), precision.show(1), modes.show(8.0)) == ("0.0195", "100.0 %", "8")


@pytest.mark.parametrize("name", ["digits", "eight-gaussians", "two-moons"])
def test_what_is_measured_is_what_is_declared(name: str) -> None:
    card, denoiser = load_teacher(f"bundled:{name}")
    evaluator = open_evaluator(card.dataset)
    measured = evaluator.measure(teacher_source(denoiser, card.image_shape, card.label_dim, 2, card.heldout_of), 100)
    assert list(measured) == [figure.name for figure in figures_of(card.dataset)]


def test_images_without_an_extractor_are_not_measured() -> None:
    assert not has_evaluator("somebody's photographs")
