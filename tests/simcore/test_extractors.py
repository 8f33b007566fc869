"""Feature extractors by reference, torch-fidelity's Inception with weights from a file among them."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from simcore.classifier import BUNDLED_EXTRACTORS, ExtractorError
from simcore.extractors import bundled_extractor, open_extractor


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the form of torch-fidelity's published file, large enough for features to differ."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3  # after simcore.fidelity

    class WithoutWeights(FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, *arguments: Any, **settings: Any) -> None:
            pass

    empty = io.BytesIO()
    torch.save({}, empty)
    empty.seek(0)
    torch.manual_seed(0)
    network = WithoutWeights("inception-v3-compat", ["2048"], feature_extractor_weights_path=empty)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    path = tmp_path_factory.mktemp("inception") / "weights-inception.pth"
    torch.save(network.state_dict(), path)
    return path


def images(channels: int) -> Tensor:
    return torch.randint(0, 256, (3, channels, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_inceptions_features_are_torch_fidelitys_own(weights: Path) -> None:
    from torch_fidelity.utils import create_feature_extractor

    extractor = open_extractor(f"inception:{weights}")
    features, logits = extractor(images(3))
    reference = create_feature_extractor(
        "inception-v3-compat", ["2048"], cuda=False, verbose=False, feature_extractor_weights_path=str(weights)
    )
    (expected,) = reference(images(3))
    assert features.shape == (3, 2048)
    assert torch.allclose(features, expected, rtol=1e-4, atol=1e-5)
    assert (features[0] - features[1]).abs().mean() > 1e-3
    assert (logits, extractor.classes) == (None, 0)


def test_inception_takes_grey_images_as_rgb(weights: Path) -> None:
    extractor = open_extractor(f"inception:{weights}")
    assert torch.equal(extractor(images(1))[0], extractor(images(1).repeat(1, 3, 1, 1))[0])


def test_an_extractor_in_a_folder_is_the_one_that_is_bundled() -> None:
    bundled, folder = bundled_extractor("digits"), open_extractor(str(BUNDLED_EXTRACTORS / "digits"))
    assert bundled.sha256 == folder.sha256
    for mine, other in zip(bundled(images(1)), folder(images(1)), strict=True):
        assert mine is not None
        assert other is not None
        assert torch.equal(mine, other)
    assert (folder.channels, folder.classes) == (1, 10)


def test_batches_are_bounded_by_pixels() -> None:
    extractor = bundled_extractor("digits")
    assert extractor.batch_size((1, 8, 8)) == 500
    assert extractor.batch_size((3, 256, 256)) == 32
    assert extractor.batch_size((3, 4096, 4096)) == 1


class _Command:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def test_weights_are_never_unpickled_freely(tmp_path: Path) -> None:
    torch.save({"fc.weight": _Command(tmp_path / "marker")}, tmp_path / "w.pth")
    with pytest.raises(ExtractorError, match="holds no plain tensors"):
        open_extractor(f"inception:{tmp_path / 'w.pth'}")
    assert not (tmp_path / "marker").exists()


def test_what_is_missing_is_told_with_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ExtractorError, match=r"weights are not at '.*none.pth'; download https://.*6726825d.pth"):
        open_extractor(f"inception:{tmp_path}/none.pth")
    torch.save({"a": torch.ones(1)}, tmp_path / "other.pth")
    with pytest.raises(ExtractorError, match=r"does not hold torch-fidelity's Inception weights: Error.*Missing key"):
        open_extractor(f"inception:{tmp_path / 'other.pth'}")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ExtractorError, match="holds no plain tensors"):
        open_extractor(f"inception:{tmp_path / 'text.pth'}")
    reason = (
        r"no feature extractor is bundled for data set 'a.zip'; .*'train-classifier --dataset a.zip' writes, or incep"
    )
    with pytest.raises(ExtractorError, match=reason):
        bundled_extractor("a.zip")
    with pytest.raises(ExtractorError, match="no usable feature extractor for"):
        open_extractor(str(tmp_path))
