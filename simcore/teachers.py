"""From a reference or a configuration to a denoiser with weights."""

from __future__ import annotations

import hashlib
from typing import Any

import safetensors
from safetensors.torch import load as load_safetensors

from simcore.networks.compact_unet import CompactUNet
from simcore.preconditioning import EDMPrecond
from simcore.teacher_card import TeacherCard, TeacherError, read_card, teacher_folder

NETWORKS = {"CompactUNet": CompactUNet}
PRECONDITIONINGS = {"edm": EDMPrecond}


def build_denoiser(config: dict[str, Any]) -> EDMPrecond:
    """A denoiser with fresh weights, called `denoiser(x, sigma, labels)`; the raw network is its `model`.

    config: `preconditioning`, `model_type`, and the network's arguments (`img_resolution`, `img_channels`,
    `label_dim`, …). Raises TeacherError where one is unknown.
    """
    arguments = dict(config)
    try:
        precondition = PRECONDITIONINGS[arguments.pop("preconditioning")]
        network = NETWORKS[arguments.pop("model_type")]
        return precondition(network(**arguments))
    except KeyError as error:
        raise TeacherError(f"a teacher's configuration lacks or has an unknown {error}") from None
    except (TypeError, ValueError) as error:
        raise TeacherError(f"a teacher's configuration does not fit its network: {error}") from None


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
