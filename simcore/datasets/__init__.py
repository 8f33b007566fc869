"""Data sets: the bundled ones by name, others from a zip archive, a folder or CIFAR-10's own archive by path.

digits                          a bundled name
images.zip                      EDM's and StyleGAN's layout: PNG or JPEG, labels in dataset.json
images/                         a folder; labels in dataset.json, or by first-level folders
cifar-10-python.tar.gz          also -binary, also extracted
"""

from __future__ import annotations

from pathlib import Path

from simcore.datasets import cifar
from simcore.datasets.bundled import DATASETS, SOURCES, load_bundled
from simcore.datasets.encoded import open_store
from simcore.datasets.image_sets import Dataset, DatasetError, Images, ImageSet, for_training
from simcore.datasets.split import HELDOUT_SHARE, split
from simcore.datasets.stores import FolderStore, ZipStore

__all__ = [
    "DATASETS", "HELDOUT_SHARE", "SOURCES", "Dataset", "DatasetError", "ImageSet", "Images", "for_training",
    "load_dataset",
]  # fmt: skip

_UNKNOWN_LICENCE = "not stated; it depends on the data"


def load_dataset(reference: str) -> Dataset:
    """A data set with its split: a bundled name, or a path.

    Of images in files only headers and labels are read here. Raises DatasetError naming what is wrong, OSError.
    """
    if reference in DATASETS:
        return load_bundled(reference)
    path = Path(reference)
    if not path.exists():
        known = ", ".join(sorted(DATASETS))
        raise DatasetError(
            f"unknown data set '{reference}'; known data sets: {known}; and there is no such file: a .zip, a folder of "
            "images or cifar-10-python.tar.gz"
        )
    if cifar.is_cifar_folder(path) or path.name.endswith((".tar.gz", ".tgz")):
        return _cifar(path)
    if path.is_dir() or path.suffix.lower() == ".zip":
        return _images(path)
    raise DatasetError(f"{path} is no data set: a .zip, a folder of images or cifar-10-python.tar.gz is read")


def _cifar(path: Path) -> Dataset:
    train, heldout = cifar.load_cifar(path)
    return Dataset(
        name="cifar10",
        classes=len(cifar.CLASSES),
        train=train,
        heldout=heldout,
        reference=str(path.absolute()),
        source=cifar.SOURCE,
        licence=_UNKNOWN_LICENCE,
        class_names=cifar.CLASSES,
        split="published",
    )


def _images(path: Path) -> Dataset:
    images, names = open_store(FolderStore(path) if path.is_dir() else ZipStore(path))
    try:
        train, heldout = split(len(images), images.labels)
    except ValueError as error:
        raise DatasetError(f"{path} is too small to hold out {HELDOUT_SHARE:.0%} of it: {error}") from None
    return Dataset(
        name=path.absolute().name.removesuffix(".zip"),
        classes=0 if images.labels is None else int(images.labels.max()) + 1,
        train=images.subset(train),
        heldout=images.subset(heldout),
        reference=str(path.absolute()),
        source=f"Data: {path.absolute().name}",
        licence=_UNKNOWN_LICENCE,
        class_names=names,
    )
