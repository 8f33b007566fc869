"""Weights of others become a teacher: every name and shape is checked, then written as safetensors with a card."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import file_digest
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from simcore.checkpoint import write_atomically
from simcore.teacher_card import TeacherCard, TeacherError
from simcore.teachers import PRECONDITIONINGS, build_denoiser

_SHOWN = 3  # names in a message


def declared_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name → shape of every tensor that a denoiser of this configuration has. Allocates nothing."""
    factor = PRECONDITIONINGS[config["preconditioning"]].network_channels
    bare = config | {"preconditioning": "EDMPrecond"}  # the preconditioner itself holds no weights
    if factor > 1:
        bare["out_channels"] = factor * config["img_channels"]
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in build_denoiser(bare).state_dict().items()}


def import_teacher(config: dict[str, Any], weights: Path, out: Path, **facts: str) -> TeacherCard:
    """Write `weights` (a safetensors file) as a teacher into the folder `out`.

    config: as for `build_denoiser`. facts: the card's name, title, description, dataset, licence, source, command.
    The weights become float32; buffers that follow from the configuration are left out.
    Raises TeacherError where a tensor is missing, unknown, of another shape or not finite.
    """
    expected = declared_shapes(config)
    try:
        with safetensors.safe_open(weights, framework="pt") as file:
            names = [name for name in file.keys() if not _is_constant(name)]  # noqa: SIM118 - not a dict
            _check(expected, {name: tuple(file.get_slice(name).get_shape()) for name in names})
            tensors = {name: _as_float32(name, file.get_tensor(name)) for name in names}
    except safetensors.SafetensorError as error:
        raise TeacherError(f"not a readable safetensors file: {error}") from None
    out.mkdir(parents=True, exist_ok=True)
    partial = out / "teacher.safetensors.partial"
    save_file(tensors, partial)
    with partial.open("rb") as written:
        sha256 = file_digest(written, "sha256").hexdigest()
    os.replace(partial, out / "teacher.safetensors")
    parameters = sum(tensor.numel() for name, tensor in tensors.items() if not name.endswith("freqs"))
    card = TeacherCard(parameters=parameters, sha256=sha256, config=config, **facts)
    write_atomically(out / "teacher.json", (card.model_dump_json(indent=2) + "\n").encode())
    return card


def _is_constant(name: str) -> bool:
    return name.endswith("resample_filter") or name == "u"  # u: iDDPM's noise levels


def _as_float32(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point() or not tensor.isfinite().all():
        raise TeacherError(f"'{name}' is not made of finite numbers")
    return tensor.to(torch.float32).contiguous()


def _check(expected: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]) -> None:
    both = expected.keys() & found.keys()
    problems = [
        *_listed("lacks", expected.keys() - found.keys()),
        *_listed("has the unknown", found.keys() - expected.keys()),
        *_listed(
            "has the wrong shape for",
            {f"{name} ({found[name]}, not {expected[name]})" for name in both if found[name] != expected[name]},
        ),
    ]
    if problems:
        raise TeacherError(f"the file does not fit the network that it declares: it {'; it '.join(problems)}")


def _listed(what: str, names: set[str]) -> Iterator[str]:
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield f"{what} {', '.join(sorted(names)[:_SHOWN])}{more}"
