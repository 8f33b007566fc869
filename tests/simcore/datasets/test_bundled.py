import numpy as np
import pytest
import torch

from simcore.dataset_card import bundled_dataset_cards
from simcore.datasets import DATASETS, SOURCES, load_dataset
from simcore.datasets.bundled import LICENCES
from simcore.figures import POINT_SETS
from simcore.point_sets import draw_points, gaussian_centres


@pytest.mark.parametrize(("name", "count", "side"), [("digits", 1797, 8), ("mnist", 5000, 32)])
def test_images_are_scaled_and_split_by_class(name: str, count: int, side: int) -> None:
    data = load_dataset(name)
    assert data.image_shape == (1, side, side)
    assert data.classes == 10
    assert len(data.train.labels) + len(data.heldout.labels) == count
    for part in (data.train, data.heldout):
        assert part.images.dtype == torch.float32
        assert (part.images.min().item(), part.images.max().item()) == (-1.0, 1.0)
        shares = torch.bincount(part.labels) / len(part.labels)
        assert (shares - torch.bincount(data.train.labels) / len(data.train.labels)).abs().max() < 0.005


def test_the_split_is_fixed_and_shares_no_image() -> None:
    first, second = load_dataset("digits"), load_dataset("digits")
    assert torch.equal(first.heldout.images, second.heldout.images)
    train = {image.numpy().tobytes() for image in first.train.images}
    assert not [1 for image in first.heldout.images if image.numpy().tobytes() in train]


def test_mnist_is_padded_with_background() -> None:
    images = load_dataset("mnist").train.images
    assert images[:, :, :2].max() == images[:, :, :, -2:].max() == -1


@pytest.mark.parametrize("name", POINT_SETS)
def test_points_are_images_of_one_pixel_without_classes_and_about_as_wide_as_the_unit_normal(name: str) -> None:
    data = load_dataset(name)
    assert (data.image_shape, data.classes) == ((2, 1, 1), 0)
    assert (len(data.train), len(data.heldout)) == (80_000, 20_000)
    points = data.train.batch(torch.arange(80_000)).flatten(1)
    assert points.mean(0).abs().max() < 0.03
    assert points.std(0).tolist() == pytest.approx([1, 1], abs=0.2)
    assert points.abs().max() < 2.5


def test_the_points_lie_where_their_distributions_say() -> None:
    gaussians, board = (draw_points(name, 10_000, seed=3) for name in ("eight-gaussians", "checkerboard"))
    distances = np.linalg.norm(gaussians[:, None] - gaussian_centres(), axis=2)
    counts = np.bincount(distances.argmin(1), minlength=8)
    assert np.abs(counts / 10_000 - 1 / 8).max() < 0.02
    assert (distances.min(1) ** 2).mean() == pytest.approx(2 * 0.1**2, rel=0.05)
    assert set(np.floor(board).sum(1) % 2) == {0}
    assert np.abs(board).max() < 2


def test_other_seeds_draw_other_points() -> None:
    assert not np.array_equal(draw_points("two-moons", 5, 0), draw_points("two-moons", 5, 1))


def test_every_data_set_names_its_source_and_licence() -> None:
    assert set(SOURCES) == set(LICENCES) == set(DATASETS)


def test_the_cards_that_ship_say_what_the_data_sets_say() -> None:
    for card in bundled_dataset_cards().values():
        data = load_dataset(card.reference)
        assert (card.licence, card.source) == (data.licence, data.source)


def test_an_unknown_data_set_is_refused_naming_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown data set 'cifar'; known data sets: checkerboard, digits, eight-gau"):
        load_dataset("cifar")
