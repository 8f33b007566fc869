"""Checkpoints: one safetensors file, deterministic to the byte, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

# One key only: safetensors does not order its metadata, and equal states must give equal bytes.
_KEY = "simcore"
_FORMAT = 1


class CheckpointError(ValueError):
    """A checkpoint cannot be written or read; the message says which and why."""


@dataclass(frozen=True)
class StoredState:
    """A checkpoint's contents: named tensors and JSON-able facts (spec, step, teacher, figures)."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors named `prefix.…`, without the prefix."""
        return {name[len(prefix) + 1 :]: value for name, value in self.tensors.items() if name.startswith(f"{prefix}.")}


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, flush it to the disk, then rename. Raises OSError; leaves no half file."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_checkpoint(path: Path, state: StoredState) -> tuple[int, str]:
    """Write the state; returns (size in bytes, sha256). Raises CheckpointError; older checkpoints stay as they are."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.tensors.items()}
    facts = json.dumps({"format": _FORMAT, **state.facts}, sort_keys=True)
    content = save_tensors(tensors, metadata={_KEY: facts})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise CheckpointError(f"cannot write the checkpoint {path}: {error.strerror or error}") from None
    return len(content), hashlib.sha256(content).hexdigest()


def read_checkpoint(path: Path) -> StoredState:
    """Read a checkpoint. Raises CheckpointError where the file is missing, truncated or of another kind."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error.strerror or error}") from None
    try:
        tensors = load_tensors(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        facts = json.loads(header["__metadata__"][_KEY])
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path} is truncated or not a checkpoint ({error})") from None
    except (KeyError, ValueError):
        raise CheckpointError(f"{path} is a safetensors file, but not a checkpoint of simcore") from None
    if facts.get("format") != _FORMAT:
        raise CheckpointError(f"{path} has checkpoint format {facts.get('format')}; this version reads {_FORMAT}")
    return StoredState(tensors, facts)


def checkpoint_name(step: int) -> str:
    """The file name of a step's checkpoint."""
    return f"step-{step:06d}.safetensors"


def checkpoints_newest_first(run_dir: Path) -> list[Path]:
    """The run folder's checkpoints, newest first."""
    found = [(int(m[1]), path) for path in (run_dir / "checkpoints").glob("step-*.safetensors") if (m := _step(path))]
    return [path for _, path in sorted(found, reverse=True)]


def _step(path: Path) -> re.Match[str] | None:
    return re.fullmatch(r"step-(\d+)\.safetensors", path.name)


def optimizer_tensors(optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """An optimiser's state as named tensors: `prefix.<parameter index>.<quantity>`."""
    state = optimizer.state_dict()["state"]
    return {f"{prefix}.{index}.{key}": value for index, entry in state.items() for key, value in entry.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave (prefix removed), each tensor laid out in memory as its parameter.

    A file keeps no layout such as channels_last, and fused optimisers walk parameter and state in memory's order.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split(".")
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, entry in optimizer.state.items():
        for key, value in entry.items():
            if value.shape == parameter.shape:
                entry[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
