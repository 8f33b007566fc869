"""The networks in whose features Fréchet distances are measured, from a reference."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from simcore import fidelity
from simcore.classifier import ExtractorError, has_extractor, load_extractor
from simcore.datasets.image_sets import Shape

INCEPTION = "inception:"
_MOST_PIXELS = 1 << 21  # of a batch: some hundreds of MB in the classifier's first layer
_INCEPTION_BATCH = 50


@dataclass(frozen=True)
class Extractor:
    """A network from uint8 images [B, C, H, W] to features and, where it is a classifier, logits.

    channels: what it takes. classes: 0 where it does not classify as the data set is labelled.
    """

    module: nn.Module
    sha256: str
    channels: int
    classes: int

    def batch_size(self, shape: Shape) -> int:
        """Images of a shape that it takes at once, in bounded memory."""
        return max(1, min(500, _MOST_PIXELS // (shape[1] * shape[2]))) if self.classes else _INCEPTION_BATCH

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """(features [B, F], logits [B, classes] or None), on the CPU. Grey images become RGB where it takes RGB."""
        if self.channels == 3 and pixels.shape[1] == 1:
            pixels = pixels.expand(-1, 3, -1, -1)
        device = next(self.module.parameters()).device
        channels, height, width = pixels.shape[1:]
        parts = torch.split(pixels, self.batch_size((channels, height, width)))
        found = [self.module(part.to(device)) for part in parts]
        features, *logits = (torch.cat(outputs).cpu() for outputs in zip(*found, strict=True))
        return features, logits[0] if logits else None


def open_extractor(reference: str) -> Extractor:
    """A bundled extractor by its data set's name, the folder of one, or `inception:FILE` with torch-fidelity's weights.

    Raises ExtractorError where it is missing, damaged or something else.
    """
    if reference.startswith(INCEPTION):
        return _inception(Path(reference.removeprefix(INCEPTION)))
    card, classifier = load_extractor(reference)
    module = fidelity.classifier_extractor(f"simcore-{card.sha256}", classifier)
    return Extractor(module, card.sha256, card.img_channels, card.classes)


def bundled_extractor(dataset: str) -> Extractor:
    """The extractor that ships for a data set. Raises ExtractorError with the ways to give another."""
    if not has_extractor(dataset):
        raise ExtractorError(
            f"no feature extractor is bundled for data set '{dataset}'; give one with --extractor: the folder that "
            f"'train-classifier --dataset {dataset}' writes, or {INCEPTION}FILE with Inception's weights from "
            f"{fidelity.INCEPTION_WEIGHTS}"
        )
    return open_extractor(dataset)


def _inception(path: Path) -> Extractor:
    if not path.is_file():
        raise ExtractorError(
            f"Inception's weights are not at '{path}'; download {fidelity.INCEPTION_WEIGHTS} (96 MB) and give its path"
        )
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ExtractorError(f"{path} holds no plain tensors: {str(error).splitlines()[0]}") from None
    try:
        module = fidelity.inception_extractor(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ExtractorError(f"{path} does not hold torch-fidelity's Inception weights: {reason}") from None
    with path.open("rb") as file:
        return Extractor(module, hashlib.file_digest(file, "sha256").hexdigest(), channels=3, classes=0)
