"""Files in the format of the published checkpoints, written by Python's own pickler so that the globals are theirs."""

from __future__ import annotations

import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

FILTER = torch.ones(1, 1, 2, 2)


def reconstruct(meta: object) -> None:
    """Stands for the function that runs `module_src`; only its published name gets into a file."""
    raise AssertionError("a test's file was executed")


class EasyDict(dict[str, Any]):
    """Only its published name gets into a file."""


reconstruct.__module__, reconstruct.__qualname__ = "torch_utils.persistence", "_reconstruct_persistent_obj"
EasyDict.__module__, EasyDict.__qualname__ = "dnnlib.util", "EasyDict"


class Persistent:
    """An object that is pickled as class name, source text and state."""

    def __init__(self, class_name: str, source: str, state: dict[str, Any]) -> None:
        self.meta = EasyDict(type="class", version=6, module_src=source, class_name=class_name, state=state)

    def __reduce__(self) -> tuple[Any, ...]:
        return reconstruct, (self.meta,)


def dumps(content: object) -> bytes:
    """Protocol 4, with the published names importable while it lasts."""
    persistence, util = ModuleType("torch_utils.persistence"), ModuleType("dnnlib.util")
    persistence._reconstruct_persistent_obj = reconstruct  # type: ignore[attr-defined]
    util.EasyDict = EasyDict  # type: ignore[attr-defined]
    modules = {m.__name__: m for m in (persistence, util, ModuleType("torch_utils"), ModuleType("dnnlib"))}
    with mock.patch.dict(sys.modules, modules):
        return pickle.dumps(content, protocol=4)


def source_that_would_write(marker: Path) -> str:
    """A `module_src` whose execution leaves a file."""
    return f"open({str(marker)!r}, 'w').close()"


def module_state(**parts: dict[str, Any]) -> dict[str, Any]:
    """A module's `__dict__`, as torch keeps it."""
    state: dict[str, Any] = {"training": False, "_backward_hooks": OrderedDict(), "_non_persistent_buffers_set": set()}
    return state | {f"_{kind}": OrderedDict(parts.get(kind, {})) for kind in ("parameters", "buffers", "modules")}


def tiny(source: str = "", **entries: Any) -> dict[str, Any]:
    """A checkpoint's content of some 2 kB: a preconditioner around a network of one layer."""
    layer = module_state(parameters={"weight": nn.Parameter(torch.arange(6.0).reshape(2, 3)), "bias": None})
    network = module_state(modules={"layer": Persistent("Linear", source, layer)}, buffers={"freqs": torch.ones(4)})
    network |= {"_init_args": (), "_init_kwargs": EasyDict(img_resolution=8, in_channels=3, skip=np.sqrt(0.5))}
    ema = module_state(modules={"model": Persistent("SongUNet", source, network)})
    ema |= {"_init_kwargs": EasyDict(img_resolution=8, img_channels=3, model_type="SongUNet", channel_mult=[1, 2])}
    loss = Persistent("EDMLoss", source, {"P_mean": -1.2, "P_std": np.float64(1.2), "sigma_data": 0.5})
    return {"loss_fn": loss, "augment_pipe": None, "ema": Persistent("EDMPrecond", source, ema)} | entries


def published(denoiser: nn.Module, config: dict[str, Any], source: str = "", **changes: Any) -> dict[str, Any]:
    """The content of a checkpoint with this denoiser's weights, as training with `config` would have saved it.

    changes: other arguments for the preconditioner.
    """
    outer = {name: value for name, value in config.items() if name != "preconditioning"} | {"use_fp16": False}
    derived = {"preconditioning", "model_type", "img_channels"}
    inner = {name: value for name, value in config.items() if name not in derived}
    inner |= {"in_channels": config["img_channels"], "out_channels": config["img_channels"]}
    if config["preconditioning"] == "iDDPMPrecond":
        inner["out_channels"] *= 2
    network = _tree(denoiser.model, source, config["model_type"])  # type: ignore[arg-type]
    network.meta["state"] |= {"_init_args": [], "_init_kwargs": EasyDict(inner)}
    ema = module_state(modules={"model": network}) | {"_init_args": [], "_init_kwargs": EasyDict(outer | changes)}
    return {"ema": Persistent(config["preconditioning"], source, ema), "dataset_kwargs": EasyDict(path="train.zip")}


def _tree(module: nn.Module, source: str, class_name: str) -> Any:
    children = {name: _tree(child, source, type(child).__name__) for name, child in module.named_children()}
    names = dict(module.state_dict())
    buffers = {name: b for name, b in module.named_buffers(recurse=False) if name in names}
    if class_name == "Conv2d":
        buffers["resample_filter"] = FILTER
    state = module_state(parameters=dict(module.named_parameters(recurse=False)), buffers=buffers, modules=children)
    if isinstance(module, nn.ModuleDict):
        container = nn.ModuleDict()
        container.__dict__.update(state)
        return container
    return Persistent(class_name, source, state)
