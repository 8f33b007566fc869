"""A control: the student's figures come from the teacher's weights, and from nothing else."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from simcore.teacher_card import read_card, teacher_folder
from tests.simcore.builders import run, small_spec


def test_a_student_of_a_teacher_with_scrambled_weights_is_bad(tmp_path: Path) -> None:
    scrambled = tmp_path / "scrambled"
    shutil.copytree(teacher_folder("bundled:digits"), scrambled)
    weights = load_file(scrambled / "teacher.safetensors")
    generator = torch.Generator().manual_seed(0)
    for name, value in weights.items():
        weights[name] = value.flatten()[torch.randperm(value.numel(), generator=generator)].view(value.shape)
    save_file(weights, scrambled / "teacher.safetensors")
    digest = hashlib.sha256((scrambled / "teacher.safetensors").read_bytes()).hexdigest()
    card = scrambled / "teacher.json"
    card.write_text(read_card("bundled:digits").model_copy(update={"sha256": digest}).model_dump_json())
    settings = {"iterations": 60, "batch_size": 32}
    bad = run(small_spec(teacher=str(scrambled), **settings), tmp_path / "bad")[-1].summary  # type: ignore[union-attr]
    good = run(small_spec(**settings), tmp_path / "good")[-1].summary  # type: ignore[union-attr]
    assert good["student_accuracy"] > 0.9
    assert bad["student_accuracy"] < 0.5
    assert bad["student_frechet"] > 3 * good["student_frechet"]
