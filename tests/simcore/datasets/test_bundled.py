import pytest
import torch

from simcore.datasets import DATASETS, SOURCES, load_dataset


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


def test_every_data_set_names_its_source() -> None:
    assert set(SOURCES) == set(DATASETS)


def test_an_unknown_data_set_is_refused_naming_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown data set 'cifar'; known data sets: digits, mnist"):
        load_dataset("cifar")
