"""The published EDM networks against numbers of the reference implementation (tests/data/vectors/README.md)."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from simcore.sampling import heun
from simcore.teacher_card import TeacherError
from simcore.teachers import build_denoiser

FILES = sorted((Path(__file__).parents[1] / "data" / "vectors").glob("*.npz"))
AUGMENTED = [file for file in FILES if "denoised_augmented" in np.load(file).files]

DDPMPP = {
    "preconditioning": "EDMPrecond",
    "model_type": "SongUNet",
    "img_resolution": 32,
    "img_channels": 3,
    "augment_dim": 9,
}
NCSNPP = DDPMPP | {
    "embedding_type": "fourier",
    "encoder_type": "residual",
    "channel_mult_noise": 2,
    "resample_filter": [1, 3, 3, 1],
}
SMALL_SONG: dict[str, Any] = DDPMPP | {
    "img_resolution": 16,
    "model_channels": 16,
    "channel_mult": [1, 2],
    "num_blocks": 1,
    "attn_resolutions": [8],
    "label_dim": 4,
    "dropout": 0.0,
}
SMALL_ADM = SMALL_SONG | {"model_type": "DhariwalUNet"}


class Vector:
    """One file: its configuration, inputs and expected outputs, and the denoiser with the weights it prescribes."""

    def __init__(self, file: Path) -> None:
        stored = np.load(file)
        self.arrays = {key: torch.from_numpy(stored[key]) for key in stored.files if stored[key].dtype.kind == "f"}
        self.parameters = {name: tuple(shape) for name, shape in json.loads(str(stored["parameters"])).items()}
        self.denoiser = build_denoiser(json.loads(str(stored["config"]))).eval()

    def load_weights(self) -> None:
        self.denoiser.load_state_dict({name: weight(name, shape) for name, shape in self.parameters.items()})


def weight(name: str, shape: tuple[int, ...]) -> Tensor:
    drawn = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if "norm" in name and name.endswith("weight"):
        drawn = 1 + 0.1 * drawn
    else:
        drawn *= 16 if name.endswith("freqs") else 0.08
    return torch.from_numpy(drawn.astype(np.float32))


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def vector(request: pytest.FixtureRequest) -> Vector:
    vector = Vector(request.param)
    vector.load_weights()
    return vector


def agree(actual: Tensor, expected: Tensor, tolerance: float = 1e-5) -> bool:
    """Every row: max|difference| / max|reference| below the tolerance of the vectors' README."""
    difference = (actual.double() - expected.double()).abs().flatten(1).amax(1)
    return bool((difference / expected.double().abs().flatten(1).amax(1) < tolerance).all())


def test_there_are_vectors_of_each_family() -> None:
    assert [file.stem for file in FILES] == [
        "adm_cond",
        "adm_multihead",
        "ddpmpp_uncond",
        "ncsnpp_cond",
        "ncsnpp_three_levels",
    ]
    assert [file.stem for file in AUGMENTED] == [file.stem for file in FILES[1:]]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_state_is_named_and_shaped_as_published(file: Path) -> None:
    vector = Vector(file)
    assert {name: tuple(value.shape) for name, value in vector.denoiser.state_dict().items()} == vector.parameters


@torch.no_grad()
def test_denoised_images_agree(vector: Vector) -> None:
    a = vector.arrays
    assert agree(vector.denoiser(a["x"], a["sigma"], a.get("labels")), a["denoised"])


@pytest.mark.parametrize("vector", AUGMENTED, ids=lambda file: file.stem, indirect=True)
@torch.no_grad()
def test_denoised_images_with_augmentation_labels_agree(vector: Vector) -> None:
    a = vector.arrays
    denoised = vector.denoiser(a["x"], a["sigma"], a.get("labels"), augment_labels=a["augment_labels"])
    assert agree(denoised, a["denoised_augmented"])
    assert not agree(denoised, a["denoised"], 1e-3)


def test_heun_samples_agree(vector: Vector) -> None:
    a = vector.arrays
    labels = a["labels"][: len(a["latents"])] if "labels" in a else None
    assert agree(heun(vector.denoiser, a["latents"], labels, steps=8), a["heun8"])


@torch.no_grad()
def test_one_row_of_a_batch_is_what_it_is_alone_and_missing_labels_are_zeros(vector: Vector) -> None:
    a = vector.arrays
    x, sigma = a["x"], a["sigma"]
    together = vector.denoiser(x, sigma)
    assert agree(vector.denoiser(x[1:2], sigma[1]), together[1:2])
    label_dim = a["labels"].shape[1] if "labels" in a else 0
    assert torch.equal(vector.denoiser(x, sigma, torch.zeros(len(x), label_dim)), together)


@pytest.mark.parametrize(
    ("config", "label_dim", "count"),
    [
        (DDPMPP, 0, 55_733_891),
        (DDPMPP, 10, 55_735_299),
        (NCSNPP, 0, 56_397_827),
        (NCSNPP, 10, 56_400_643),
    ],
    ids=["ddpmpp-uncond", "ddpmpp-cond", "ncsnpp-uncond", "ncsnpp-cond"],
)
def test_the_cifar10_networks_have_as_many_parameters_as_published(
    config: dict[str, Any], label_dim: int, count: int
) -> None:
    with torch.device("meta"):
        denoiser = build_denoiser(config | {"label_dim": label_dim})
    assert sum(p.numel() for p in denoiser.parameters()) == count


@pytest.mark.parametrize("precondition", ["EDMPrecond", "VPPrecond", "VEPrecond", "iDDPMPrecond"])
@pytest.mark.parametrize(
    "config",
    [SMALL_SONG, SMALL_SONG | {k: NCSNPP[k] for k in NCSNPP.keys() - DDPMPP.keys()}, SMALL_ADM],
    ids=["ddpmpp", "ncsnpp", "adm"],
)
def test_every_parameter_gets_a_gradient_and_samples_have_the_images_shape(
    config: dict[str, Any], precondition: str
) -> None:
    denoiser = build_denoiser(config | {"preconditioning": precondition})
    denoiser(
        torch.randn(2, 3, 16, 16), torch.tensor([0.5, 3.0]), torch.eye(4)[:2], augment_labels=torch.randn(2, 9)
    ).square().sum().backward()
    assert [n for n, p in denoiser.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    samples = heun(denoiser, torch.randn(2, 3, 16, 16), torch.eye(4)[:2], steps=3)
    assert samples.shape == (2, 3, 16, 16)
    assert samples.isfinite().all()


def test_dropout_acts_in_training_only() -> None:
    denoiser = build_denoiser(SMALL_SONG | {"dropout": 0.5})
    x, sigma = torch.randn(2, 3, 16, 16), torch.tensor(1.0)
    assert not torch.equal(denoiser(x, sigma), denoiser(x, sigma))
    assert torch.equal(denoiser.eval()(x, sigma), denoiser(x, sigma))


@torch.no_grad()
def test_96_channels_attend_with_one_head() -> None:
    denoiser = build_denoiser(SMALL_ADM | {"model_channels": 96, "channel_mult": [1], "attn_resolutions": [16]})
    heads = {name: stage.heads for name, stage in denoiser.model.dec.named_children()}
    assert heads == {"16x16_in0": 1, "16x16_in1": 0, "16x16_block0": 1, "16x16_block1": 1}
    assert denoiser(torch.randn(1, 3, 16, 16), torch.tensor(1.0)).isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "Other"}, "unknown 'Other' as model_type; known: CompactUNet, SongUNet, DhariwalUNet"),
        ({"preconditioning": "VP"}, "unknown 'VP' as preconditioning; known: .*VPPrecond"),
        ({"preconditioning": ["VP"]}, "unknown .* as preconditioning"),
        ({"chanel_mult": [1, 2]}, "SongUNet has no chanel_mult; it has .*channel_mult"),
        ({"embedding_type": "learned"}, "embedding_type 'learned' is not known; known: positional, fourier"),
        ({"encoder_type": "skip"}, "encoder_type 'skip' is not known; known: standard, residual"),
        ({"decoder_type": "skip"}, "decoder_type 'skip' is not known; known: standard"),
        ({"img_resolution": 15}, "img_resolution 15 cannot be halved 1 times"),
        ({"model_channels": 0}, "model_channels has to be a whole number from 1, not 0"),
        ({"model_channels": "wide"}, "model_channels has to be a whole number from 1, not 'wide'"),
        ({"channel_mult": []}, "channel_mult is empty"),
        ({"channel_mult": [1, 0.5]}, "channel_mult has to be a whole number from 1, not 0.5"),
        ({"label_dim": -1}, "label_dim has to be a whole number from 0, not -1"),
        ({"model_channels": 2}, r"model_channels·channel_mult_noise has to be an even number from 4, not 2"),
        ({"model_channels": 15}, r"model_channels·channel_mult_noise has to be an even number from 4, not 15"),
        ({"model_type": "DhariwalUNet", "model_channels": 15}, "model_channels has to be even, not 15"),
        ({"model_type": "DhariwalUNet", "model_channels": 2}, "2 channels do not divide"),
        ({"model_channels": 132}, "132 channels do not divide into .* 32 groups"),
        ({"model_type": "DhariwalUNet", "model_channels": 224, "attn_resolutions": [16]}, "into 3 attention heads"),
        ({"resample_filter": [1, 2, 1]}, r"resample_filter \[1, 2, 1\] has to have an even number of taps"),
        ({"dropout": 2}, "dropout"),
        ({"model_type": "CompactUNet", "widths": 3}, "CompactUNet has no .*widths"),
    ],
)
def test_an_impossible_configuration_is_refused_with_its_reason(change: dict[str, object], message: str) -> None:
    with pytest.raises(TeacherError, match=message):
        build_denoiser(SMALL_SONG | change)


@pytest.mark.parametrize("key", ["preconditioning", "model_type", "img_resolution"])
def test_a_missing_entry_is_named(key: str) -> None:
    with pytest.raises(TeacherError, match=f"'{key}'"):
        build_denoiser({name: value for name, value in SMALL_SONG.items() if name != key})


def test_augmentation_labels_for_a_network_without_them_are_refused() -> None:
    denoiser = build_denoiser(SMALL_SONG | {"augment_dim": 0})
    with pytest.raises(ValueError, match="without augmentation labels"):
        denoiser(torch.randn(1, 3, 16, 16), torch.tensor(1.0), augment_labels=torch.zeros(1, 9))
