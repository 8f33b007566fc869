"""Students as files for elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from simcore.__main__ import build_parser
from simcore.checkpoint import CheckpointError
from simcore.commands.common import CommandError
from simcore.evaluation import draw
from simcore.export import ExportError, export_program, export_weights
from simcore.preconditioning import EDMPrecond
from simcore.sampling import balanced_classes, one_hot
from simcore.students import Student, card_path, load_source, load_student
from simcore.teacher_card import BUNDLED_TEACHERS, read_card
from simcore.teachers import build_denoiser
from tests.simcore.builders import run, small_spec
from tests.simcore.test_vectors import NCSNPP, SMALL_ADM, SMALL_SONG, weight

README = Path(__file__).parents[2] / "README.md"
FAMILIES: dict[str, dict[str, Any]] = {
    "compact-edm": read_card("bundled:digits").config,
    "points-discrete": read_card("bundled:eight-gaussians").config,
    "ddpmpp-vp": SMALL_SONG | {"preconditioning": "VPPrecond"},
    "ncsnpp-ve": NCSNPP | SMALL_SONG | {name: NCSNPP[name] for name in ("embedding_type", "encoder_type")}
    | {"preconditioning": "VEPrecond", "resample_filter": [1, 3, 3, 1], "channel_mult_noise": 2, "label_dim": 0},
    "adm-iddpm": SMALL_ADM | {"preconditioning": "iDDPMPrecond"},
}  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last checkpoint of a short run, whose figures it knows."""
    folder = tmp_path_factory.mktemp("export")
    run(small_spec(), folder)
    return folder / "checkpoints/step-000006.safetensors"


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "student.safetensors"
    export_weights(load_student(checkpoint), path)
    return path


def student_of(config: dict[str, Any], checkpoint: Path) -> Student:
    """A student of any network, its weights drawn."""
    generator = build_denoiser(config).eval().requires_grad_(False)
    generator.load_state_dict({name: weight(name, tuple(t.shape)) for name, t in generator.state_dict().items()})
    return with_generator(checkpoint, generator, config)


def with_generator(checkpoint: Path, generator: EDMPrecond, config: dict[str, Any]) -> Student:
    side, label_dim = config["img_resolution"], config.get("label_dim", 0)
    shape = (config["img_channels"], side, side)
    facts = {"config": config, "image_shape": shape, "label_dim": label_dim}
    return Student(load_student(checkpoint).card.model_copy(update=facts), generator)


def inputs(student: Student, count: int) -> tuple[Tensor, ...]:
    labels = one_hot(balanced_classes(count, student.card.label_dim), student.card.label_dim)
    latents = torch.randn(count, *student.card.image_shape)
    return (latents,) if labels is None else (latents, labels)


def command(*words: object) -> int:
    arguments = build_parser().parse_args([str(word) for word in words])
    code: int = arguments.command(arguments)
    return code


def export(*words: object) -> int:
    return command("export", *words)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_a_program_gives_every_networks_images_at_any_batch_size(family: str, checkpoint: Path, tmp_path: Path) -> None:
    student = student_of(FAMILIES[family], checkpoint)
    assert export_program(student, tmp_path / "student.pt2") <= 1e-5
    assert b"simcore/networks" not in (tmp_path / "student.pt2").read_bytes()  # no paths of this machine
    program = torch.export.load(tmp_path / "student.pt2").module()
    for count in (1, 2, 7):
        given = inputs(student, count)
        assert (
            program(*given) - student.source.sample(given[0], given[1] if len(given) > 1 else None)
        ).abs().max() <= 1e-5


class Drifting(nn.Module):
    """Not a function of its inputs: it cannot be exported faithfully."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.bias = 0, nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, c_noise: Tensor, labels: Tensor | None) -> Tensor:
        self.calls += 1
        return x * self.calls + self.bias


def test_a_program_with_other_images_is_refused_and_not_written(checkpoint: Path, tmp_path: Path) -> None:
    student = with_generator(checkpoint, EDMPrecond(Drifting()), FAMILIES["ncsnpp-ve"])
    with pytest.raises(ExportError, match=r"images differ by .*, more than 1e-05"):
        export_program(student, tmp_path / "student.pt2")
    assert not list(tmp_path.iterdir())


def test_the_readmes_lines_work(exported: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Each Python block as it stands, the second one where simcore cannot be imported."""
    (tmp_path / "student.safetensors").write_bytes(exported.read_bytes())
    assert export("--checkpoint", checkpoint, "--out", tmp_path / "student.pt2") == 0
    text = README.read_text().partition("### A student elsewhere\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert [len(block.splitlines()) for block in blocks] == [10, 5]
    path = f"import sys; sys.path.insert(0, {str(README.parent)!r})\n"
    for before, block in zip((path, "import sys; sys.modules['simcore'] = None\n"), blocks, strict=True):
        done = subprocess.run(
            [sys.executable, "-c", before + block + "print(list(images.shape))"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert done.stdout == "[64, 1, 8, 8]\n"
    assert {"digits.png", "threes.png"} <= {path.name for path in tmp_path.iterdir()}


def test_an_exported_file_is_the_same_to_the_byte_also_from_an_exported_file(
    exported: Path, checkpoint: Path, tmp_path: Path
) -> None:
    for source in (checkpoint, exported):
        assert export("--checkpoint", source, "--out", tmp_path / "student.safetensors", "--force") == 0
        assert (tmp_path / "student.safetensors").read_bytes() == exported.read_bytes()
        assert card_path(tmp_path / "student.safetensors").read_bytes() == card_path(exported).read_bytes()


def test_the_file_holds_the_average_under_the_networks_own_names(exported: Path, checkpoint: Path) -> None:
    with safe_open(exported, "pt") as file, safe_open(checkpoint, "pt") as whole:
        names = set(build_denoiser(FAMILIES["compact-edm"]).state_dict())
        assert set(file.keys()) == names
        assert all(torch.equal(file.get_tensor(name), whole.get_tensor(f"ema.{name}")) for name in names)


def test_the_card_says_what_the_file_is_and_where_it_comes_from(exported: Path) -> None:
    card = json.loads(card_path(exported).read_text())
    teacher = read_card("bundled:digits")
    assert card["sha256"] == hashlib.sha256(exported.read_bytes()).hexdigest()
    assert (card["file"], card["step"], card["init_sigma"]) == ("student.safetensors", 6, 2.5)
    assert (card["config"], card["image_shape"], card["label_dim"]) == (teacher.config, [1, 8, 8], 10)
    assert (card["teacher"]["sha256"], card["teacher"]["licence"]) == (teacher.sha256, "Apache-2.0")
    assert teacher.title in card["licence"]
    assert set(card["figures"]) == {"frechet", "frechet_heldout", "accuracy", "samples"}
    assert card["figures"]["samples"] == 100
    assert card["run"]["objective"]["distance"] == "pseudo_huber"


def test_figures_of_other_weights_are_not_told(checkpoint: Path) -> None:
    assert load_student(checkpoint.with_name("step-000003.safetensors")).card.figures == {}


def test_sample_and_evaluate_take_the_exported_file_like_the_checkpoint(
    exported: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grids = []
    for source in (exported, checkpoint):
        assert command("sample", "--checkpoint", source, "--count", 20, "--out", tmp_path / "grid.png") == 0
        grids.append((tmp_path / "grid.png").read_bytes())
    assert grids[0] == grids[1]
    assert command("evaluate", "--checkpoint", exported, "--samples", 100) == 0
    measured = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert measured["frechet"] == load_student(exported).card.figures["frechet"]
    assert measured["nfe"] == 1


def test_a_teacher_is_measured_with_the_steps_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("evaluate", "--checkpoint", "bundled:digits", "--samples", 100, "--steps", 3) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["nfe"] == 5
    with pytest.raises(CommandError, match=r"--steps must be between 1 and 1000 \(given: 0\)"):
        command("evaluate", "--checkpoint", "bundled:digits", "--steps", 0)


def test_samples_follow_seed_and_labels(exported: Path) -> None:
    student = load_student(exported)
    _, source = load_source(str(exported))
    assert torch.equal(student.sample(20, seed=3), next(draw(source, 20, 3, "samples"))[0])
    assert not torch.equal(student.sample(20, seed=3), student.sample(20, seed=4))
    assert torch.equal(student.sample(20), student.sample(20, [i % 10 for i in range(20)]))
    assert not torch.equal(student.sample(2), student.sample(2, [3, 3]))


@pytest.mark.parametrize(
    ("count", "labels", "message"),
    [
        (0, None, "count must be at least 1"),
        (2, [1], "labels must be 2 class numbers"),
        (2, [1.0, 2.0], "labels must be 2 class numbers"),
        (2, [1, 10], "class numbers from 0 to 9"),
        (2, [-1, 1], "class numbers from 0 to 9"),
    ],
)
def test_samples_that_cannot_be_are_refused(exported: Path, count: int, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_student(exported).sample(count, labels)


def test_labels_for_a_student_without_classes_are_refused(checkpoint: Path) -> None:
    with pytest.raises(ValueError, match="knows no classes"):
        student_of(FAMILIES["ncsnpp-ve"], checkpoint).sample(1, [0])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--checkpoint", "/none.safetensors"], "cannot read the checkpoint /none.safetensors: No such file"),
        (["--checkpoint", BUNDLED_TEACHERS / "digits/teacher.safetensors"], "but not a checkpoint of simcore"),
        (["--checkpoint", README], "is truncated or not a checkpoint"),
        (["--out", "student.bin"], "--out must name a .safetensors or a .pt2 file"),
        (["--out", "/proc/student.safetensors"], "No such file|Permission|not permitted"),
    ],
)
def test_bad_input_is_refused_with_its_reason(
    words: list[object], message: str, checkpoint: Path, tmp_path: Path
) -> None:
    given: list[object] = ["--checkpoint", checkpoint, "--out", tmp_path / "student.safetensors", *words]
    with pytest.raises((CommandError, ValueError, OSError), match=message):
        export(*given)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_stays_unless_forced(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "student.safetensors"
    out.write_text("precious")
    with pytest.raises(CommandError, match="is there already; --force replaces it"):
        export("--checkpoint", checkpoint, "--out", out)
    assert out.read_text() == "precious"
    assert export("--checkpoint", checkpoint, "--out", out, "--force") == 0
    assert load_student(out).card.step == 6


def test_a_damaged_file_is_told_from_its_cards_hash(exported: Path, tmp_path: Path) -> None:
    out, content = tmp_path / "student.safetensors", bytearray(exported.read_bytes())
    content[-1] ^= 1
    out.write_bytes(content)
    card_path(out).write_bytes(card_path(exported).read_bytes())
    with pytest.raises(CheckpointError, match="the sha256 differs"):
        load_student(out)


def test_a_card_that_cannot_be_read_is_told(exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "student.safetensors"
    out.write_bytes(exported.read_bytes())
    for text in ("{", "[]", "{}"):
        card_path(out).write_text(text)
        with pytest.raises(CheckpointError, match=r"json is not a readable card; export again, or remove it"):
            load_student(out)


def test_a_file_of_another_format_is_refused_by_its_field(exported: Path, tmp_path: Path) -> None:
    student = load_student(exported)
    newer = student.card.model_copy(update={"format": 2})
    export_weights(Student(newer, student.generator), tmp_path / "student.safetensors")
    with pytest.raises(CheckpointError, match="no student that this version can read: format"):
        load_student(tmp_path / "student.safetensors")
