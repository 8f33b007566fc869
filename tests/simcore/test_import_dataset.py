"""Cards of data sets: from files, and of those that ship."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simcore.dataset_card import BUNDLED_DATASETS, bundled_dataset_cards
from simcore.datasets import DATASETS, load_dataset
from simcore.datasets.describe import content_hash, describe, write_card
from simcore.figures import POINT_SETS
from simcore.file_kinds import HEAD, UnknownFile, file_kind
from tests.simcore.datasets.files import as_python, cifar_batches, named, random_pixels, write_tar, write_zip


@pytest.mark.parametrize("name", sorted(set(DATASETS) - set(POINT_SETS)))
def test_the_cards_that_ship_are_those_of_the_data_sets(name: str) -> None:
    data = load_dataset(name)
    assert bundled_dataset_cards()[BUNDLED_DATASETS / name] == describe(data, "bundled", *content_hash(data))


def test_the_picture_shows_a_class_in_each_column_or_a_square(tmp_path: Path) -> None:
    from PIL import Image

    data = load_dataset("digits")
    write_card(tmp_path / "ten", describe(data, "bundled", "0" * 64, 1), data)
    assert Image.open(tmp_path / "ten" / "samples.png").size == (10 * 34 - 2, 6 * 34 - 2)
    plain = load_dataset(str(write_zip(tmp_path / "plain.zip", named(random_pixels(100)))))
    write_card(tmp_path / "plain", describe(plain, "images_zip", "0" * 64, 1), plain)
    assert Image.open(tmp_path / "plain" / "samples.png").size == (8 * 34 - 2, 8 * 34 - 2)


def test_files_are_known_by_their_first_bytes_whatever_they_are_called(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"w": torch.zeros(1)}, tmp_path / "safetensors")
    torch.save({"w": torch.zeros(1)}, tmp_path / "state_dict")
    (tmp_path / "edm_pickle").write_bytes(b"\x80\x04N.")
    write_zip(tmp_path / "images_zip", named(random_pixels(2)))
    write_tar(tmp_path / "cifar_archive", as_python(cifar_batches(1)))
    for path in tmp_path.iterdir():
        assert file_kind(path.read_bytes()[:HEAD]) == path.name


@pytest.mark.parametrize("head", [b"", b"P", b"GIF89a", b"{}", json.dumps([]).encode(), b"\xff" * 99, bytes(99)])
def test_a_stranger_is_named_by_its_first_bytes(head: bytes) -> None:
    with pytest.raises(UnknownFile, match="it starts with b"):
        file_kind(head)
