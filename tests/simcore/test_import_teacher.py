"""Importing a published teacher, from the file to a denoiser that computes the same."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
import torch
from safetensors.torch import save_file

from simcore.__main__ import main
from simcore.edm_config import checked_config, published_config
from simcore.edm_pickle import Description
from simcore.preconditioning import EDMPrecond
from simcore.teacher_card import TeacherError, read_card
from simcore.teacher_import import declared_shapes, import_teacher
from simcore.teachers import build_denoiser, load_teacher
from tests.simcore.edm_files import dumps, published, source_that_would_write
from tests.simcore.test_edm_pickle import MEMO_BOMB

SONG: dict[str, Any] = {
    "img_resolution": 16, "img_channels": 3, "label_dim": 10, "model_type": "SongUNet", "augment_dim": 9,
    "model_channels": 16, "channel_mult": [1, 2], "num_blocks": 1, "attn_resolutions": [8], "dropout": 0.13,
    "embedding_type": "fourier", "encoder_type": "residual", "decoder_type": "standard", "channel_mult_noise": 2,
    "resample_filter": [1, 3, 3, 1],
}  # fmt: skip
ADM: dict[str, Any] = {
    "img_resolution": 8, "img_channels": 1, "label_dim": 0, "model_type": "DhariwalUNet", "model_channels": 32,
    "channel_mult": [1, 2], "num_blocks": 1,
}  # fmt: skip
FACTS = dict.fromkeys(("name", "title", "description", "dataset", "licence", "source"), "x")


def denoiser_with_weights(config: dict[str, Any]) -> EDMPrecond:
    """Every weight drawn anew, so that none is a zero that hides a difference."""
    torch.manual_seed(0)
    denoiser = build_denoiser(config).eval()
    for parameter in denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return denoiser


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def run_import(*arguments: object) -> Done:
    """The command, in this process: torch is imported once."""
    command = ["simcore", "import-teacher", *map(str, arguments)]
    with (
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as errors,
        patch.object(sys, "argv", command),
    ):
        code = main()
    return Done(code, out.getvalue(), errors.getvalue())


def describe(config: dict[str, Any], **changes: Any) -> Description:
    """What the reader says of a published file."""
    inner = {name: config[name] for name in config.keys() - {"model_type", "img_channels"}}
    outer = config | {"use_fp16": True, "sigma_max": float("inf")}
    facts = {"class_name": "EDMPrecond", "network_class_name": config["model_type"], "format": "edm"}
    return Description(**(facts | {"arguments": outer, "network_arguments": inner} | changes))


@pytest.mark.parametrize("preconditioning", ["EDMPrecond", "VPPrecond", "VEPrecond", "iDDPMPrecond"])
@pytest.mark.parametrize("network", [SONG, ADM], ids=["SongUNet", "DhariwalUNet"])
def test_the_configuration_comes_from_the_files_own_arguments(network: dict[str, Any], preconditioning: str) -> None:
    channels = network["img_channels"]
    inner = {"in_channels": channels, "out_channels": channels * (2 if preconditioning == "iDDPMPrecond" else 1)}
    description = describe(network, class_name=preconditioning, network_arguments=inner, arguments=network)
    config = published_config(description)
    assert config == network | {"preconditioning": preconditioning}
    assert declared_shapes(config) == {
        name: tuple(tensor.shape) for name, tensor in build_denoiser(config).state_dict().items()
    }


def test_the_published_cifar10_networks_have_the_published_sizes() -> None:
    """From arguments as the files hold them: what is the network's default is not there."""
    common = {"img_resolution": 32, "img_channels": 3, "model_type": "SongUNet", "augment_dim": 9, "dropout": 0.13}
    common |= {"model_channels": 128, "channel_mult": [2, 2, 2], "decoder_type": "standard"}
    vp = {
        "embedding_type": "positional",
        "encoder_type": "standard",
        "channel_mult_noise": 1,
        "resample_filter": [1, 1],
    }
    ve = {"embedding_type": "fourier", "encoder_type": "residual", "channel_mult_noise": 2}
    ve |= {"resample_filter": [1, 3, 3, 1]}
    counts = []
    for arguments in (vp, vp | {"label_dim": 10}, ve, ve | {"label_dim": 10}):
        shapes = declared_shapes(published_config(describe(common | arguments)))
        counts.append(sum(torch.Size(s).numel() for name, s in shapes.items() if not name.endswith("freqs")))
    assert counts == [55_733_891, 55_735_299, 56_397_827, 56_400_643]


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        (describe(SONG, class_name="EDMLoss"), "preconditioning: Input should be 'EDMPrecond'"),
        (describe(SONG, network_class_name="DDPM"), "model_type 'SongUNet', network 'DDPM'"),
        (describe(SONG, network_arguments={"num_blocks": 2}), "contradicts itself: num_blocks is 1 and 2"),
        (describe(SONG, network_arguments={"out_channels": 6}), "out_channels is 6, but images have 3 channels"),
        (describe(SONG, arguments=SONG | {"sigma_data": 1.0}), "sigma_data = 1.0 is not supported, only 0.5"),
        (describe(SONG | {"num_blocks": 2**40}), "num_blocks: .*less than or equal to 64"),
        (describe(SONG | {"img_channels": 5}), "img_channels: Input should be 1 or 3"),
        (describe(SONG | {"channel_mult": []}), "channel_mult: .*at least 1 item"),
        (describe(SONG | {"model_channels": "128"}), "model_channels: .*valid integer"),
        (describe(SONG | {"os.system": "true"}), "os.system: Extra inputs are not permitted"),
    ],
)
def test_arguments_that_no_published_network_has_are_refused(description: Description, reason: str) -> None:
    with pytest.raises(TeacherError, match=reason):
        published_config(description)


@pytest.mark.parametrize(
    "config",
    [SONG | {"preconditioning": "EDMPrecond"}, ADM | {"preconditioning": "iDDPMPrecond"}],
    ids=["NCSN++", "ADM with iDDPM"],
)
def test_an_imported_checkpoint_denoises_as_the_network_that_was_saved(config: dict[str, Any], tmp_path: Path) -> None:
    original, marker = denoiser_with_weights(config), tmp_path / "executed"
    content = dumps(published(original, config, source_that_would_write(marker)))
    (tmp_path / "edm-net.pkl").write_bytes(content)
    done = run_import(tmp_path / "edm-net.pkl", "--out", tmp_path / "teacher", "--dataset", "cifar10")
    assert (done.returncode, done.stderr) == (0, "")
    assert not marker.exists()

    card, imported = load_teacher(str(tmp_path / "teacher"))
    x, sigma = torch.randn(2, *card.image_shape), torch.tensor([0.5, 3.0])
    labels = torch.eye(10)[:2] if card.label_dim else None
    assert torch.equal(imported(x, sigma, labels), original(x, sigma, labels))
    assert (card.name, card.dataset, card.config) == ("edm-net", "cifar10", config)
    assert card.parameters == sum(parameter.numel() for parameter in original.parameters())
    assert card.source == f"edm-net.pkl (sha256 {hashlib.sha256(content).hexdigest()})"
    assert card.sha256 == hashlib.sha256((tmp_path / "teacher" / "teacher.safetensors").read_bytes()).hexdigest()
    assert json.loads(done.stdout)["sha256"] == card.sha256


@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_weights_with_a_configuration_beside_them_are_imported(kind: str, tmp_path: Path) -> None:
    config = ADM | {"preconditioning": "EDMPrecond"}
    original = denoiser_with_weights(config)
    weights, spec = tmp_path / f"weights.{kind}", tmp_path / "spec.json"
    if kind == "pt":
        torch.save(original.state_dict(), weights)
    else:
        save_file(original.state_dict(), weights)
    spec.write_text(json.dumps(config))
    done = run_import(
        weights, "--spec", spec, "--out", tmp_path / "teacher", "--name", "mine", "--source", "https://x.org"
    )
    assert (done.returncode, done.stderr) == (0, "")
    card, imported = load_teacher(str(tmp_path / "teacher"))
    assert card.name == "mine"
    assert card.source.startswith("https://x.org (sha256 ")
    assert all(torch.equal(a, b) for a, b in zip(imported.parameters(), original.parameters(), strict=True))


def test_half_precision_becomes_single(tmp_path: Path) -> None:
    config = ADM | {"preconditioning": "EDMPrecond"}
    halves = {name: tensor.half() for name, tensor in denoiser_with_weights(config).state_dict().items()}
    save_file(halves, tmp_path / "half.safetensors")
    import_teacher(config, tmp_path / "half.safetensors", tmp_path / "out", **FACTS)
    _, denoiser = load_teacher(str(tmp_path / "out"))
    assert all(torch.equal(tensor, halves[name].float()) for name, tensor in denoiser.state_dict().items())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model.out_conv.bias": None}, "it lacks model.out_conv.bias$"),
        ({"model.more": torch.zeros(1)}, "it has the unknown model.more$"),
        ({"model.out_conv.bias": torch.zeros(2)}, r"wrong shape for model.out_conv.bias \(\(2,\), not \(1,\)\)$"),
        ({"model.out_conv.bias": torch.tensor([torch.nan])}, "'model.out_conv.bias' is not made of finite numbers"),
        ({"model.out_conv.bias": torch.tensor([1])}, "'model.out_conv.bias' is not made of finite numbers"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(
    change: dict[str, torch.Tensor | None], reason: str, tmp_path: Path
) -> None:
    config = ADM | {"preconditioning": "EDMPrecond"}
    tensors = denoiser_with_weights(config).state_dict() | change
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, tmp_path / "w.safetensors")
    with pytest.raises(TeacherError, match=reason):
        import_teacher(config, tmp_path / "w.safetensors", tmp_path / "out", **FACTS)
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_that_declares_another_width_is_refused(tmp_path: Path) -> None:
    config = ADM | {"preconditioning": "EDMPrecond"}
    content = published(build_denoiser(config), config | {"model_channels": 64})
    (tmp_path / "wide.pkl").write_bytes(dumps(content))
    done = run_import(tmp_path / "wide.pkl", "--out", tmp_path / "teacher")
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot import wide.pkl: the file does not fit the network that it declares: ")
    assert "wrong shape for model." in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "teacher").exists()


def test_a_network_of_impossible_size_allocates_nothing() -> None:
    config = checked_config(SONG | {"preconditioning": "EDMPrecond", "model_channels": 4096, "channel_mult": [64, 64]})
    assert sum(torch.Size(shape).numel() for shape in declared_shapes(config).values()) > 10**12


MEASURE = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, done.stderr, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))
"""


def test_a_memo_bomb_is_refused_at_once_and_with_little_memory(tmp_path: Path) -> None:
    """Measured by a small process: a child of this one would count our memory before its start as its own."""
    (tmp_path / "bomb.pkl").write_bytes(MEMO_BOMB)
    command = ["-m", "simcore", "import-teacher", tmp_path / "bomb.pkl", "--out", tmp_path / "out"]
    measure = [sys.executable, "-c", MEASURE, sys.executable, *map(str, command)]
    output = subprocess.run(measure, capture_output=True, check=True, timeout=60).stdout
    code, error, seconds, megabytes = json.loads(output)
    assert code == 2
    assert error == "error: cannot import bomb.pkl: memo index 250,000,000 at byte 3, after only 2 opcodes\n"
    assert seconds < 10
    assert megabytes < 100


def bad_files(folder: Path) -> dict[str, list[object]]:
    (folder / "text.pkl").write_text("no pickle")
    (folder / "list.pkl").write_bytes(pickle.dumps([], 4))
    (folder / "broken.safetensors").write_bytes(b"\xff" * 64)
    (folder / "bad.json").write_text("{")
    (folder / "spec.json").write_text(json.dumps(ADM | {"preconditioning": "EDMPrecond"}))
    (folder / "wrong.json").write_text(json.dumps(ADM | {"preconditioning": "EDM"}))
    (folder / "taken").mkdir()
    (folder / "taken" / "teacher.json").write_text("{}")
    torch.save({"w": torch.zeros(1)}, folder / "w.pt")
    return {
        "there is no file": [folder / "none.pkl"],
        "text.pkl: not a pickle: it starts with b'no p'": [folder / "text.pkl"],
        "list.pkl: not an EDM checkpoint": [folder / "list.pkl"],
        "w.pt: it does not say which network it is: add --spec": [folder / "w.pt"],
        "w.pt: the file does not fit the network": [folder / "w.pt", "--spec", folder / "spec.json"],
        "bad.json is not JSON": [folder / "w.pt", "--spec", folder / "bad.json"],
        "configuration: preconditioning: Input should be": [folder / "w.pt", "--spec", folder / "wrong.json"],
        "broken.safetensors: not a readable safetensors file": [
            folder / "broken.safetensors", "--spec", folder / "spec.json"
        ],
        "already holds a teacher": [folder / "w.pt", "--out", folder / "taken"],
    }  # fmt: skip


def test_each_bad_request_is_answered_in_one_line(tmp_path: Path) -> None:
    for reason, arguments in bad_files(tmp_path).items():
        done = run_import("--out", tmp_path / "out", *arguments)
        assert done.returncode == 2
        assert reason in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not (tmp_path / "out").exists()


def test_the_card_of_an_imported_teacher_is_enough_to_import_its_weights_again(tmp_path: Path) -> None:
    config = ADM | {"preconditioning": "EDMPrecond"}
    save_file(denoiser_with_weights(config).state_dict(), tmp_path / "w.safetensors")
    first = import_teacher(config, tmp_path / "w.safetensors", tmp_path / "first", **FACTS)
    done = run_import(
        tmp_path / "first" / "teacher.safetensors", "--spec", tmp_path / "first" / "teacher.json",
        "--out", tmp_path / "second",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert read_card(str(tmp_path / "second")).sha256 == first.sha256
