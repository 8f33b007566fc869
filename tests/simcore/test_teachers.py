from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from simcore.evaluation import open_evaluator, teacher_source
from simcore.figures import POINT_SETS
from simcore.teacher_card import TeacherError, bundled_references, read_card, teacher_folder
from simcore.teachers import build_denoiser, load_teacher


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(teacher_folder("bundled:digits"), tmp_path / "copy"))


def test_the_bundled_teacher_is_small_frozen_and_as_its_card_says() -> None:
    card, denoiser = load_teacher("bundled:digits")
    assert (teacher_folder("bundled:digits") / "teacher.safetensors").stat().st_size < 2_000_000
    assert (card.image_shape, card.label_dim) == ((1, 8, 8), 10)
    assert card.parameters == sum(p.numel() for p in denoiser.parameters())
    assert not denoiser.training
    assert not any(p.requires_grad for p in denoiser.parameters())
    assert "bundled:digits" in bundled_references()


def test_the_bundled_teacher_denoises_images_it_has_not_seen() -> None:
    from simcore.datasets import load_dataset

    _, denoiser = load_teacher("bundled:digits")
    heldout = load_dataset("digits").heldout
    noise = torch.randn(heldout.images.shape, generator=torch.Generator().manual_seed(0))
    denoised = denoiser(heldout.images + 0.5 * noise, torch.tensor(0.5), torch.eye(10)[heldout.labels])
    assert (denoised - heldout.images).square().mean() < 0.25 * (0.5 * noise).square().mean()


def test_a_teacher_in_a_folder_loads_like_a_bundled_one(copied: Path) -> None:
    _, denoiser = load_teacher(str(copied))
    _, bundled = load_teacher("bundled:digits")
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(denoiser(x, torch.tensor(1.0)), bundled(x, torch.tensor(1.0)))


def test_changed_weights_are_refused(copied: Path) -> None:
    weights = copied / "teacher.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(TeacherError, match="sha256 differs"):
        load_teacher(str(copied))


def test_a_card_that_does_not_fit_the_weights_is_refused(copied: Path) -> None:
    card = read_card(str(copied))
    narrow = card.model_copy(update={"config": card.config | {"model_channels": 8}})
    (copied / "teacher.json").write_text(narrow.model_dump_json())
    with pytest.raises(TeacherError, match="does not fit the card's configuration"):
        load_teacher(str(copied))


@pytest.mark.parametrize("reference", ["bundled:none", "bundled:../digits", "no/such/folder"])
def test_an_unknown_teacher_is_named_with_the_known_ones(reference: str) -> None:
    with pytest.raises(TeacherError, match=f"no teacher '{reference}'; bundled teachers: .*bundled:digits"):
        load_teacher(reference)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"img_resolution": None}, "config: Value error, img_resolution has to be a whole number from 1, not None"),
        ({"img_channels": "1"}, "img_channels has to be a whole number from 1, not '1'"),
        ({"label_dim": -1}, "label_dim has to be a whole number from 0, not -1"),
        ({"preconditioning": "discrete_vp"}, "steps has to be a whole number from 2, not None"),
    ],
)
def test_a_card_that_does_not_describe_its_images_is_refused(
    change: dict[str, object], message: str, copied: Path
) -> None:
    card = json.loads((copied / "teacher.json").read_text())
    card["config"] |= change
    (copied / "teacher.json").write_text(json.dumps(card))
    with pytest.raises(TeacherError, match=f"is not a readable teacher card: .*{message}"):
        load_teacher(str(copied))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_channels": 2}, "model_channels has to be a multiple of 8, not 2"),
        ({"model_type": "Other"}, "unknown 'Other'"),
        ({"preconditioning": "vp"}, "unknown 'vp'"),
        ({"widths": 3}, "does not fit its network: .*widths"),
    ],
)
def test_a_configuration_that_is_not_known_is_refused(change: dict[str, object], message: str) -> None:
    config = read_card("bundled:digits").config
    with pytest.raises(TeacherError, match=message):
        build_denoiser(config | change)


@pytest.mark.parametrize("reference", bundled_references())
def test_a_bundled_teachers_command_is_the_standard_one_and_its_readme_says_what_the_card_says(reference: str) -> None:
    from simcore.commands.pretrain import reproduce
    from simcore.datasets import load_dataset
    from simcore.pretrain_config import denoiser_config, standard_spec
    from simcore.trained_teacher import readme

    card = read_card(reference)
    spec = standard_spec(card.dataset)
    assert card.command == reproduce(spec) == f"python -m simcore pretrain --dataset {card.dataset} --out DIR"
    data = load_dataset(card.dataset)
    assert card.config | denoiser_config(spec, data.image_shape, data.classes) == card.config
    assert (teacher_folder(reference) / "README.md").read_text() == readme(card, spec)


@pytest.mark.parametrize("name", POINT_SETS)
def test_a_bundled_teacher_of_points_is_small_and_near_its_data(name: str) -> None:
    card, denoiser = load_teacher(f"bundled:{name}")
    assert (teacher_folder(f"bundled:{name}") / "teacher.safetensors").stat().st_size < 200_000
    assert card.parameters == sum(p.numel() for p in denoiser.parameters())
    evaluator = open_evaluator(name)
    measured = evaluator.measure(teacher_source(denoiser, card.image_shape, 0, 18), 2_000)
    assert measured["sliced_wasserstein"] < 0.06
    assert measured["precision"] > 0.8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 1}, "steps has to be a whole number from 2, not 1"),
        ({"img_resolution": 8}, "points have img_resolution 1 and label_dim 0, not 8 and 0"),
        ({"label_dim": 3}, "points have img_resolution 1 and label_dim 0, not 1 and 3"),
        ({"depth": 0}, "have to be at least 1"),
        ({"dropout": 0.1}, "PointMLP has no dropout"),
        ({"preconditioning": "edm"}, "PointMLP has no steps"),
    ],
)
def test_an_impossible_teacher_of_points_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(TeacherError, match=message):
        build_denoiser(read_card("bundled:two-moons").config | change)
