"""The small classifier whose penultimate features stand in for Inception's on small images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import safetensors
import torch
from pydantic import Field, ValidationError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d, affine_grid, cross_entropy, grid_sample, max_pool2d, relu

from simcore.checkpoint import write_atomically
from simcore.config import Spec
from simcore.datasets import SOURCES, ImageSet, load_dataset
from simcore.images import to_uint8

BUNDLED_EXTRACTORS = Path(__file__).parent / "assets" / "extractors"
FEATURE_COUNT = 64


class ExtractorCard(Spec):
    """An extractor's facts."""

    dataset: str
    img_channels: int
    classes: int
    seed: int
    iterations: int
    heldout_accuracy: float
    command: str
    licence: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class ExtractorError(ValueError):
    """A feature extractor is missing or damaged."""


class Classifier(nn.Module):
    """Pixels 0..255 [B, C, H, W] of any number type → (features [B, 64], logits [B, classes])."""

    def __init__(self, img_channels: int, classes: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(img_channels, 32, 3, padding=1)
        self.conv1 = nn.Conv2d(32, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.penultimate = nn.Linear(64 * 4, FEATURE_COUNT)
        self.head = nn.Linear(FEATURE_COUNT, classes)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        h = pixels / 127.5 - 1
        h = relu(self.conv1(relu(self.conv0(h))))
        h = relu(self.conv2(max_pool2d(h, 2)))
        features = relu(self.penultimate(adaptive_max_pool2d(h, 2).flatten(1)))
        return features, self.head(features)


def accuracy(classifier: Classifier, images: ImageSet) -> float:
    """Share of images classified as labelled."""
    with torch.no_grad():
        _, logits = classifier.eval()(to_uint8(images.images))
    return float((logits.argmax(1) == images.labels).double().mean())


def _augmented(pixels: Tensor) -> Tensor:
    """Shifts of up to one pixel and noise of 20 grey levels: better on images it has not seen."""
    shift = torch.zeros(len(pixels), 2, 3)
    shift[:, 0, 0] = shift[:, 1, 1] = 1
    shift[:, :, 2] = (2 * torch.rand(len(pixels), 2) - 1) * 2 / pixels.shape[-1]
    grid = affine_grid(shift, list(pixels.shape), align_corners=False)
    return grid_sample(pixels + 20 * torch.randn(pixels.shape), grid, align_corners=False)


def train_classifier(
    dataset_name: str, out: Path, seed: int = 0, iterations: int = 2000, batch: int = 128
) -> Iterator[int]:
    """Train on the training split, write `extractor.safetensors`, `extractor.json` and `README.md` into `out`.

    Yields the number of finished iterations. Raises ValueError for an unknown data set, OSError on writing.
    """
    data = load_dataset(dataset_name)
    torch.manual_seed(seed)
    classifier = Classifier(data.image_shape[0], data.classes)
    pixels = to_uint8(data.train.images)
    optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations)
    for step in range(1, iterations + 1):
        chosen = torch.randint(len(pixels), (batch,))
        loss = cross_entropy(classifier(_augmented(pixels[chosen]))[1], data.train.labels[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        yield step
    content = save_tensors(classifier.state_dict())
    card = ExtractorCard(
        dataset=dataset_name,
        img_channels=data.image_shape[0],
        classes=data.classes,
        seed=seed,
        iterations=iterations,
        heldout_accuracy=round(accuracy(classifier, data.heldout), 4),
        command=f"python -m simcore train-classifier --dataset {dataset_name} --seed {seed} "
        f"--iterations {iterations} --out DIR",
        licence="Apache-2.0",
        sha256=hashlib.sha256(content).hexdigest(),
    )
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "extractor.safetensors", content)
    write_atomically(out / "extractor.json", (card.model_dump_json(indent=2) + "\n").encode())
    write_atomically(out / "README.md", _readme(card).encode())


def _readme(card: ExtractorCard) -> str:
    return f"""# Feature extractor for {card.dataset}

A small convolutional classifier. Its {FEATURE_COUNT} penultimate features are what the Fréchet distance is measured in,
its classes give the class accuracy of samples. Trained on the training split only; accuracy on the held-out split:
{card.heldout_accuracy:.2%}. Distances in these features compare with each other only, not with Inception's FID.

Reproduce: `{card.command}`

Weights: {card.licence}. {SOURCES[card.dataset]}.
"""


def has_extractor(dataset: str) -> bool:
    """Whether an extractor for the data set is bundled."""
    return (BUNDLED_EXTRACTORS / dataset / "extractor.json").is_file()


def load_extractor(dataset: str) -> tuple[ExtractorCard, Classifier]:
    """The bundled extractor of a data set. Raises ExtractorError where it is missing or damaged."""
    folder = BUNDLED_EXTRACTORS / dataset
    try:
        card = ExtractorCard.model_validate_json((folder / "extractor.json").read_bytes())
        content = (folder / "extractor.safetensors").read_bytes()
        if hashlib.sha256(content).hexdigest() != card.sha256:
            raise ExtractorError(f"{folder / 'extractor.safetensors'} is damaged: its sha256 differs from its card's")
        classifier = Classifier(card.img_channels, card.classes)
        classifier.load_state_dict(load_tensors(content))
    except (OSError, ValidationError, RuntimeError, safetensors.SafetensorError) as error:
        raise ExtractorError(f"no usable feature extractor for '{dataset}': {error}") from None
    return card, classifier.eval().requires_grad_(False)
