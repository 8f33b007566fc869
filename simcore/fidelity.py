"""torch-fidelity, imported safely, and our feature extractor registered in it."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset


def _import_torchvision() -> None:
    """torchvision from PyPI is built for CUDA and fails beside a CPU torch for want of two operator schemas.

    torch-fidelity needs only its transforms: declare the two and import again.
    """
    try:
        import torchvision
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
        _kept_alive.append(library)
        import torchvision  # noqa: F401


_kept_alive: list[object] = []
_import_torchvision()

from torch_fidelity.feature_extractor_base import FeatureExtractorBase  # noqa: E402
from torch_fidelity.metric_fid import (  # noqa: E402
    KEY_METRIC_FID,
    fid_features_to_statistics,
    fid_statistics_to_metric,
)
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor  # noqa: E402
from torch_fidelity.utils import create_feature_extractor, get_featuresdict_from_dataset  # noqa: E402

FEATURES, LOGITS = "features", "logits"
Statistics = dict[str, Any]


class _Pixels(Dataset[Tensor]):
    """uint8 images [N, C, H, W] as torch-fidelity reads them."""

    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Tensor:
        return self.pixels[index]


def register_classifier(name: str, classifier: nn.Module) -> None:
    """Register a classifier (uint8 images → (features, logits)) as torch-fidelity's feature extractor `name`."""

    class Extractor(FeatureExtractorBase):  # type: ignore[misc]
        def __init__(self, name: str, features_list: list[str], **kwargs: object) -> None:
            super().__init__(name, features_list)
            self.classifier = classifier

        @staticmethod
        def get_provided_features_list() -> tuple[str, ...]:
            return FEATURES, LOGITS

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return FEATURES

        @staticmethod
        def can_be_compiled() -> bool:
            return False

        def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
            outputs = dict(zip((FEATURES, LOGITS), self.classifier(pixels), strict=True))
            return tuple(outputs[name] for name in self.features_list)

    if name not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(name, Extractor)


def extract(name: str, pixels: Tensor, batch_size: int = 500) -> dict[str, Tensor]:
    """Features and logits of uint8 images [N, C, H, W] by a registered extractor, on the CPU."""
    extractor = create_feature_extractor(name, [FEATURES, LOGITS], cuda=False, verbose=False)
    found: dict[str, Tensor] = get_featuresdict_from_dataset(_Pixels(pixels), extractor, batch_size, False, True, False)
    return found


def statistics(features: Tensor) -> Statistics:
    """Mean and covariance of features [N, F], float64."""
    found: Statistics = fid_features_to_statistics(features.double())
    return found


def frechet_distance(first: Statistics, second: Statistics) -> float:
    """‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½)."""
    return float(fid_statistics_to_metric(first, second, verbose=False)[KEY_METRIC_FID])
