"""The safe reader of published EDM checkpoints (`*.pkl`) and of plain `state_dict` files. Torch-free.

A pickle is a program. This one is never run: a child process under limits scans its opcodes, unpickles it with
stand-ins for every class, and hands back tensors as safetensors and a plain description (see `edm_pickle_child`).
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from simcore.config import Spec
from simcore.edm_pickle_scan import Refused

MAX_FILE = 2 << 30  # bytes; ImageNet-64's checkpoint has 1.2e9
CPU_SECONDS = 60  # one read of CIFAR-10's 223 MB takes less than 2
WALL_SECONDS = 300
_BASE_MEMORY = 256 << 20  # address space of the child on its own is 0.1 GiB
_COPIES = 4  # the file mapped, its storages, what is written, and one to spare
_MOST_MEMORY = 6 << 30  # whatever the file's size, which a sparse file has for nothing

Scalar = bool | int | float | str


class Description(Spec):
    """What a file says of its network; `arguments` are the constructors'."""

    model_config = Spec.model_config | {"allow_inf_nan": True}  # sigma_max is often infinite

    format: str = Field(pattern="^(edm|state_dict)$")
    class_name: str = ""
    arguments: dict[str, Scalar | list[Scalar] | None] = Field(default_factory=dict)
    network_class_name: str = ""
    network_arguments: dict[str, Scalar | list[Scalar] | None] = Field(default_factory=dict)


def read_checkpoint(path: Path, folder: Path) -> tuple[Description, Path]:
    """What the file says, and the safetensors file in `folder` with its tensors, names and types as stored.

    Raises Refused with the reason in one line, OSError where the file cannot be read.
    """
    (answer,) = read_checkpoints([path], folder)
    if isinstance(answer, Refused):
        raise answer
    return answer


def read_checkpoints(paths: Sequence[Path], folder: Path) -> list[tuple[Description, Path] | Refused]:
    """`read_checkpoint` for several files in as few processes as their reasons to die allow."""
    answers: list[tuple[Description, Path] | Refused] = []
    while len(answers) < len(paths):
        waiting = paths[len(answers) :]
        size = max(map(_size, waiting))
        part = folder / str(len(answers))
        part.mkdir()
        lines, death = _run_child(waiting, part, size)
        answers += [_parse(line, part / f"{index}.safetensors") for index, line in enumerate(lines)]
        if death and len(answers) < len(paths):
            answers.append(Refused(death))
    return answers


def _size(path: Path) -> int:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise Refused(f"{path} is not a file")
    if status.st_size > MAX_FILE:
        raise Refused(f"too large: {status.st_size:,} bytes, at most {MAX_FILE:,} are read")
    return status.st_size


def _memory(size: int) -> int:
    """Address space of the child for a file of `size` bytes."""
    return min(_BASE_MEMORY + _COPIES * size, _MOST_MEMORY)


def _run_child(paths: Sequence[Path], folder: Path, size: int) -> tuple[list[str], str]:
    """The child's lines, and why it ended before its time ("" if it did not)."""
    command = [sys.executable, "-m", "simcore.edm_pickle_child", str(_memory(size)), str(CPU_SECONDS)]
    command += [str(folder), *(str(path.absolute()) for path in paths)]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # threads cost address space
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as child:
        try:
            output, errors = child.communicate(timeout=WALL_SECONDS * len(paths))
        except subprocess.TimeoutExpired:
            child.kill()
            output, errors = child.communicate()
            return output.splitlines(), f"reading it took longer than {WALL_SECONDS} seconds"
    return output.splitlines(), _death(child.returncode, errors)


def _death(code: int, errors: str) -> str:
    if code == -signal.SIGXCPU:
        return f"reading it took longer than {CPU_SECONDS} seconds of processor time"
    if code < 0:
        return f"reading it ended with signal {signal.Signals(-code).name}"
    return f"reading it failed: {(errors.splitlines() or ['no reason given'])[-1]}" if code else ""


def _parse(line: str, tensors: Path) -> tuple[Description, Path] | Refused:
    try:
        answer: dict[str, Any] = json.loads(line)
        if "refused" in answer:
            return Refused(str(answer["refused"]))
        return TypeAdapter(Description).validate_python(answer["description"]), tensors
    except (ValueError, KeyError, ValidationError) as error:
        return Refused(f"its reader answered nonsense: {error}")
