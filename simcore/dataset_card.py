"""What a data set is, without loading it. Torch-free."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from simcore.config import Spec

BUNDLED_DATASETS = Path(__file__).parent / "assets" / "datasets"
CARD, SAMPLES = "dataset.json", "samples.png"


class DatasetCard(Spec):
    """A data set's facts. `reference` is what `simcore.datasets.load_dataset` takes."""

    name: str
    reference: str
    kind: str = Field(description="bundled, images_zip or cifar_archive")
    image_shape: tuple[int, int, int] = Field(description="(channels, height, width)")
    train_count: int
    heldout_count: int
    split: Literal["published", "simcore"] = Field(
        "simcore",
        description="published: the files say which images are held out, and whoever trained on them kept to it; "
        "simcore: the division is ours, and only a teacher that was trained here on the training images keeps to it. "
        "Samples of others are compared with all images",
    )
    classes: int = Field(description="0 without labels")
    class_names: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = Field((), description="images of each class, held-out ones included")
    licence: str
    source: str
    sha256: str = Field(
        description="hash of the file; of a bundled set that of its pixels and labels", pattern="^[0-9a-f]{64}$"
    )
    size: int = Field(description="bytes of the file; of a bundled set those of its pixels")


def bundled_dataset_cards() -> dict[Path, DatasetCard]:
    """The cards of the data sets that ship with simcore, by the folder in which each lies."""
    return {path.parent: read_dataset_card(path.parent) for path in sorted(BUNDLED_DATASETS.glob(f"*/{CARD}"))}


def read_dataset_card(folder: Path) -> DatasetCard:
    """The card in a folder. Raises ValueError where it is missing or malformed."""
    try:
        return DatasetCard.model_validate_json((folder / CARD).read_bytes())
    except (OSError, ValidationError) as error:
        raise ValueError(f"{folder / CARD} is not a readable card of a data set: {error}") from None
