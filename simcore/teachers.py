"""From a reference or a configuration to a denoiser with weights."""

from __future__ import annotations

import hashlib
import inspect
from typing import Any, TypeVar

import safetensors
from safetensors.torch import load as load_safetensors
from torch import nn

from simcore.networks.compact_unet import CompactUNet
from simcore.networks.dhariwal_unet import DhariwalUNet
from simcore.networks.point_mlp import PointMLP
from simcore.networks.song_unet import SongUNet
from simcore.preconditioning import DiscreteVPPrecond, EDMPrecond, IDDPMPrecond, VEPrecond, VPPrecond
from simcore.teacher_card import TeacherCard, TeacherError, read_card, teacher_folder

NETWORKS: dict[str, type[nn.Module]] = {
    "CompactUNet": CompactUNet,
    "SongUNet": SongUNet,
    "DhariwalUNet": DhariwalUNet,
    "PointMLP": PointMLP,
}
PRECONDITIONINGS: dict[str, type[EDMPrecond]] = {
    "edm": EDMPrecond,
    "EDMPrecond": EDMPrecond,
    "VPPrecond": VPPrecond,
    "VEPrecond": VEPrecond,
    "iDDPMPrecond": IDDPMPrecond,
    "discrete_vp": DiscreteVPPrecond,
}
Registered = TypeVar("Registered")


def build_denoiser(config: dict[str, Any]) -> EDMPrecond:
    """A denoiser with fresh weights, called `denoiser(x, sigma, labels)`; the raw network is its `model`.

    config: `preconditioning`, `model_type`, and the network's arguments (`img_resolution`, `img_channels`,
    `label_dim`, …). Raises TeacherError where one is missing, unknown or impossible.
    """
    arguments = dict(config)
    precondition = _registered(PRECONDITIONINGS, arguments, "preconditioning")
    network = _registered(NETWORKS, arguments, "model_type")
    if precondition.network_channels > 1 and isinstance(arguments.get("img_channels"), int):
        arguments.setdefault("out_channels", precondition.network_channels * arguments["img_channels"])
    options = {name: arguments.pop(name) for name in precondition.arguments if name in arguments}
    known = list(inspect.signature(network).parameters)
    if unknown := [name for name in arguments if name not in known]:
        raise TeacherError(
            f"a teacher's configuration does not fit its network: {network.__name__} has no {', '.join(unknown)}; "
            f"it has {', '.join(known)}"
        )
    try:
        return precondition(network(**arguments), **options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TeacherError(f"a teacher's configuration does not fit its network: {error}") from None


def _registered(registry: dict[str, Registered], arguments: dict[str, Any], key: str) -> Registered:
    """Take `key` out of the arguments and look its value up. Raises TeacherError where either is missing."""
    known = ", ".join(registry)
    if key not in arguments:
        raise TeacherError(f"a teacher's configuration lacks '{key}', one of: {known}")
    name = arguments.pop(key)
    if not isinstance(name, str) or name not in registry:
        raise TeacherError(f"a teacher's configuration has the unknown '{name}' as {key}; known: {known}")
    return registry[name]


def load_teacher(reference: str) -> tuple[TeacherCard, EDMPrecond]:
    """The card and the frozen denoiser of a teacher. Raises TeacherError where they are missing, damaged or differ."""
    card = read_card(reference)
    path = teacher_folder(reference) / "teacher.safetensors"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TeacherError(f"cannot read the teacher's weights: {error}") from None
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise TeacherError(f"{path} is damaged or not the file its card describes: the sha256 differs")
    denoiser = build_denoiser(card.config)
    try:
        denoiser.load_state_dict(load_safetensors(content))
    except (safetensors.SafetensorError, RuntimeError) as error:
        raise TeacherError(f"{path} does not fit the card's configuration: {error}") from None
    return card, denoiser.eval().requires_grad_(False)
