from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from simcore.checkpoint import (
    CheckpointError,
    StoredState,
    checkpoint_name,
    checkpoints_newest_first,
    optimizer_tensors,
    read_checkpoint,
    restore_optimizer,
    write_checkpoint,
)

STATE = StoredState(
    {"student.a": torch.arange(6.0).view(2, 3), "random_state": torch.zeros(8, dtype=torch.uint8)},
    {"step": 3, "z": [1], "a": "ü"},
)


def test_what_is_written_is_read_and_equal_states_give_equal_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "deep" / "1.safetensors", tmp_path / "2.safetensors"
    size, digest = write_checkpoint(first, STATE)
    backwards = StoredState(dict(reversed(STATE.tensors.items())), dict(reversed(STATE.facts.items())))
    assert write_checkpoint(second, backwards) == (size, digest)
    assert first.read_bytes() == second.read_bytes()
    read = read_checkpoint(first)
    assert torch.equal(read.part("student")["a"], STATE.tensors["student.a"])
    assert read.facts["step"] == 3
    assert [path.name for path in first.parent.iterdir()] == ["1.safetensors"]


@pytest.mark.parametrize("kept", [0, 7, 40, -1])
def test_a_truncated_file_is_named_as_such(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "x.safetensors"
    write_checkpoint(path, STATE)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"x\.safetensors is truncated or not a checkpoint"):
        read_checkpoint(path)


def test_foreign_and_missing_files_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.safetensors"
    save_file({"w": torch.zeros(2)}, foreign)
    with pytest.raises(CheckpointError, match="not a checkpoint of simcore"):
        read_checkpoint(foreign)
    (tmp_path / "text.safetensors").write_text("hello, this is no checkpoint at all")
    with pytest.raises(CheckpointError, match="truncated or not a checkpoint"):
        read_checkpoint(tmp_path / "text.safetensors")
    with pytest.raises(CheckpointError, match="No such file"):
        read_checkpoint(tmp_path / "none.safetensors")


def test_a_write_that_fails_says_so_and_leaves_older_checkpoints(tmp_path: Path) -> None:
    """A file size limit stands for a full disk: the operating system really refuses the write."""
    good, bad = tmp_path / checkpoint_name(1), tmp_path / checkpoint_name(2)
    write_checkpoint(good, STATE)
    program = (
        "import resource, sys, torch; from pathlib import Path; from simcore.checkpoint import *\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_checkpoint(Path(sys.argv[1]), StoredState({'w': torch.zeros(10000)}, {}))\n"
        "except CheckpointError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program, bad], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"cannot write the checkpoint {bad}: File too large")
    assert [path.name for path in tmp_path.iterdir()] == [good.name]
    assert read_checkpoint(good).facts["step"] == 3


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"cannot write the checkpoint .* (Not a directory|File exists)"):
        write_checkpoint(tmp_path / "file" / "x.safetensors", STATE)


def test_checkpoints_are_listed_newest_first_by_number(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for name in ("step-000250", "step-1000000", "step-000500", ".step-000750.safetensors.tmp", "other"):
        (folder / f"{name}.safetensors").touch()
    names = [path.stem for path in checkpoints_newest_first(tmp_path)]
    assert names == ["step-1000000", "step-000500", "step-000250"]


def test_an_optimisers_state_survives() -> None:
    def trained(steps: int) -> tuple[torch.nn.Linear, torch.optim.Adam]:
        torch.manual_seed(0)
        module = torch.nn.Linear(3, 2)
        optimizer = torch.optim.Adam(module.parameters(), 0.1)
        for _ in range(steps):
            advance(module, optimizer)
        return module, optimizer

    def advance(module: torch.nn.Linear, optimizer: torch.optim.Adam) -> None:
        optimizer.zero_grad()
        module(torch.ones(1, 3)).square().sum().backward()
        optimizer.step()

    module, optimizer = trained(3)
    other, fresh = trained(0)
    other.load_state_dict(module.state_dict())
    tensors = {name.removeprefix("o."): value.clone() for name, value in optimizer_tensors(optimizer, "o").items()}
    restore_optimizer(fresh, tensors)
    advance(module, optimizer)
    advance(other, fresh)
    assert torch.equal(module.weight, other.weight)
