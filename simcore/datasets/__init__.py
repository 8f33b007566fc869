"""Image data sets: the bundled ones."""

from simcore.datasets.bundled import DATASETS, HELDOUT_SHARE, SOURCES, Dataset, ImageSet, load_dataset

__all__ = ["DATASETS", "HELDOUT_SHARE", "SOURCES", "Dataset", "ImageSet", "load_dataset"]
