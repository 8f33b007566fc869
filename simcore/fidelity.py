"""torch-fidelity, imported safely: its Inception network, our classifier registered in it, its Fréchet distance."""

from __future__ import annotations

import io
import sys

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from simcore.precision import full_fp32


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
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3  # noqa: E402
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric  # noqa: E402
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor  # noqa: E402
from torch_fidelity.utils import create_feature_extractor  # noqa: E402

FEATURES, LOGITS = "features", "logits"
INCEPTION_WEIGHTS: str = URL_INCEPTION_V3  # where they are published; never fetched by us
Statistics = dict[str, NDArray[np.float64]]


def classifier_extractor(name: str, classifier: nn.Module) -> nn.Module:
    """A classifier as torch-fidelity's feature extractor `name`: uint8 images → (features, logits).

    name: one for each classifier's weights.
    """

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
    created: nn.Module = create_feature_extractor(name, [FEATURES, LOGITS], cuda=False, verbose=False)
    return created


def inception_extractor(weights: dict[str, Tensor]) -> nn.Module:
    """torch-fidelity's `inception-v3-compat`: uint8 RGB images → (2,048 features,), on the GPU if there is one.

    Raises RuntimeError where the weights are not its own.
    """
    # It loads its weights with an unrestricted unpickler, so it gets bytes that we wrote, not the user's file.
    content = io.BytesIO()
    torch.save(weights, content)
    content.seek(0)
    full_fp32()
    created: nn.Module = create_feature_extractor(
        "inception-v3-compat",
        ["2048"],
        cuda=torch.cuda.is_available(),
        verbose=False,
        feature_extractor_weights_path=content,
    )
    return created


class Moments:
    """Mean and covariance of features that come in batches, in float64 (Chan, Golub and LeVeque's pairwise update)."""

    def __init__(self) -> None:
        self._count = 0
        self._mean: NDArray[np.float64] = np.zeros(())
        self._scatter: NDArray[np.float64] = np.zeros(())

    def add(self, features: Tensor) -> None:
        """features [B, F]."""
        batch = features.double().cpu().numpy()
        count, mean = len(batch), batch.mean(axis=0)
        total = self._count + count
        step = mean - self._mean
        self._scatter = self._scatter + (batch - mean).T @ (batch - mean)
        self._scatter += np.outer(step, step) * (self._count * count / total)
        self._mean = self._mean + step * (count / total)
        self._count = total

    def statistics(self) -> Statistics:
        """What `frechet_distance` takes. Raises ValueError for fewer than two images."""
        if self._count < 2:
            raise ValueError(f"a Fréchet distance needs at least two images (given: {self._count})")
        return {"mu": self._mean, "sigma": self._scatter / (self._count - 1)}


def frechet_distance(first: Statistics, second: Statistics) -> float:
    """‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½)."""
    return float(fid_statistics_to_metric(first, second, verbose=False)[KEY_METRIC_FID])
