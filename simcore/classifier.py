"""The small classifier whose penultimate features stand in for Inception's on small images."""

from __future__ import annotations

import hashlib
import shlex
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
from simcore.datasets import Dataset, Images, for_training, load_dataset

BUNDLED_EXTRACTORS = Path(__file__).parent / "assets" / "extractors"
FEATURE_COUNT = 64
_TEST_BATCH = 100


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


@torch.no_grad()
def accuracy(classifier: Classifier, images: Images) -> float:
    """Share of labelled images classified as labelled."""
    assert images.labels is not None
    found = [classifier.eval()(pixels)[1].argmax(1) for pixels in images.pixel_batches(_TEST_BATCH)]
    return float((torch.cat(found) == images.labels).double().mean())


def _augmented(pixels: Tensor) -> Tensor:
    """Shifts of up to one pixel and noise of 20 grey levels: better on images it has not seen."""
    shift = torch.zeros(len(pixels), 2, 3)
    shift[:, 0, 0] = shift[:, 1, 1] = 1
    shift[:, :, 2] = (2 * torch.rand(len(pixels), 2) - 1) * 2 / pixels.shape[-1]
    grid = affine_grid(shift, list(pixels.shape), align_corners=False)
    return grid_sample(pixels + 20 * torch.randn(pixels.shape), grid, align_corners=False)


def train_classifier(dataset: str, out: Path, seed: int = 0, iterations: int = 2000, batch: int = 128) -> Iterator[int]:
    """Train on the training split, write `extractor.safetensors`, `extractor.json` and `README.md` into `out`.

    dataset: a reference as `load_dataset` takes it. Yields the number of finished iterations. Raises ValueError for an
    unknown data set, one without labels or fewer than one iteration, OSError on writing.
    """
    if iterations < 1:
        raise ValueError(f"iterations has to be at least 1 (given: {iterations})")
    data = load_dataset(dataset)
    train, labels = for_training(data.train), data.train.labels
    if labels is None:
        raise ValueError(f"data set '{data.name}' has no labels; a classifier needs them")
    torch.manual_seed(seed)
    classifier = Classifier(data.image_shape[0], data.classes)
    optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations)
    for step in range(1, iterations + 1):
        chosen = torch.randint(len(train), (batch,))
        loss = cross_entropy(classifier(_augmented(train.pixels(chosen)))[1], labels[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        yield step
    content = save_tensors(classifier.state_dict())
    card = ExtractorCard(
        dataset=data.name,
        img_channels=data.image_shape[0],
        classes=data.classes,
        seed=seed,
        iterations=iterations,
        heldout_accuracy=round(accuracy(classifier, data.heldout), 4),
        command=f"python -m simcore train-classifier --dataset {shlex.quote(dataset)} --seed {seed} "
        f"--iterations {iterations} --out DIR",
        licence=data.licence,
        sha256=hashlib.sha256(content).hexdigest(),
    )
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "extractor.safetensors", content)
    write_atomically(out / "extractor.json", (card.model_dump_json(indent=2) + "\n").encode())
    write_atomically(out / "README.md", _readme(card, data).encode())


def _readme(card: ExtractorCard, data: Dataset) -> str:
    return f"""# Feature extractor for {card.dataset}

A small convolutional classifier. Its {FEATURE_COUNT} penultimate features are what the Fréchet distance is measured in,
its classes give the class accuracy of samples. Trained on the training split only; accuracy on the held-out split:
{card.heldout_accuracy:.2%}. Distances in these features compare with each other only, not with Inception's FID.

Reproduce: `{card.command}`

Weights: {card.licence}. {data.source}.
"""


def has_extractor(dataset: str) -> bool:
    """Whether an extractor for the data set is bundled."""
    return any(folder.name == dataset for folder in BUNDLED_EXTRACTORS.iterdir())


def load_extractor(reference: str) -> tuple[ExtractorCard, Classifier]:
    """The bundled extractor of a data set, or the one in a folder.

    Raises ExtractorError where it is missing or damaged.
    """
    folder = BUNDLED_EXTRACTORS / reference if has_extractor(reference) else Path(reference)
    try:
        card = ExtractorCard.model_validate_json((folder / "extractor.json").read_bytes())
        content = (folder / "extractor.safetensors").read_bytes()
        if hashlib.sha256(content).hexdigest() != card.sha256:
            raise ExtractorError(f"{folder / 'extractor.safetensors'} is damaged: its sha256 differs from its card's")
        classifier = Classifier(card.img_channels, card.classes)
        classifier.load_state_dict(load_tensors(content))
    except (OSError, ValidationError, RuntimeError, safetensors.SafetensorError) as error:
        raise ExtractorError(f"no usable feature extractor for '{reference}': {error}") from None
    return card, classifier.eval().requires_grad_(False)
