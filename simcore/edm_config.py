"""From what a checkpoint says of its network to a configuration for `teachers.build_denoiser`. Torch-free.

Bounded, because the numbers come from files that anybody may have written: a network of 2⁵⁰ blocks is no teacher.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from simcore.config import Spec
from simcore.edm_pickle import Description
from simcore.teacher_card import TeacherError

Resolution = Annotated[int, Field(ge=1, le=1024)]
Factor = Annotated[int, Field(ge=1, le=64)]


class ImportedConfig(Spec):
    """The configuration of a teacher's network. Arguments that are not given are the network's own defaults."""

    preconditioning: Literal["EDMPrecond", "VPPrecond", "VEPrecond", "iDDPMPrecond", "edm"]
    model_type: Literal["SongUNet", "DhariwalUNet", "CompactUNet"]
    img_resolution: Resolution
    img_channels: Literal[1, 3]  # what can be drawn and measured: grey or RGB
    label_dim: int = Field(0, ge=0, le=100_000)
    augment_dim: int = Field(0, ge=0, le=1024)
    model_channels: int = Field(128, ge=1, le=4096)
    channel_mult: list[Factor] = Field(default_factory=list, min_length=1, max_length=10)
    channel_mult_emb: Factor = 4
    channel_mult_noise: Factor = 1
    num_blocks: Factor = 4
    attn_resolutions: list[Resolution] = Field(default_factory=list, max_length=16)
    dropout: float = Field(0.0, ge=0, lt=1)
    embedding_type: Literal["positional", "fourier"] = "positional"
    encoder_type: Literal["standard", "residual"] = "standard"
    decoder_type: Literal["standard"] = "standard"
    resample_filter: list[Annotated[float, Field(gt=0, le=100)]] = Field(
        default_factory=list, min_length=1, max_length=16
    )
    attention: bool = True


# What the preconditioners' constants are; a file with others would need other formulas.
_CONSTANTS: dict[str, dict[str, float]] = {
    "EDMPrecond": {"sigma_min": 0, "sigma_max": math.inf, "sigma_data": 0.5},
    "VPPrecond": {"beta_d": 19.9, "beta_min": 0.1, "M": 1000, "epsilon_t": 1e-5},
    "VEPrecond": {"sigma_min": 0.02, "sigma_max": 100},
    "iDDPMPrecond": {"C_1": 0.001, "C_2": 0.008, "M": 1000},
}
_NO_SHAPE = {"use_fp16", "label_dropout"}  # how it was trained or run: neither changes the network
_DERIVED = {"in_channels", "out_channels"}  # follow from the image's channels


def checked_config(data: object) -> dict[str, Any]:
    """A configuration from a JSON file. Raises TeacherError that names the field."""
    try:
        return ImportedConfig.model_validate(data, strict=True).model_dump(exclude_unset=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise TeacherError(f"the network's configuration: {place}: {first['msg']}") from None


def published_config(description: Description) -> dict[str, Any]:
    """The configuration of a published checkpoint. Raises TeacherError where it contradicts itself or is unknown."""
    outer, inner = description.arguments, description.network_arguments
    kind, network = description.class_name, description.network_class_name
    for name in outer.keys() & inner.keys():
        if outer[name] != inner[name]:
            raise TeacherError(f"the file contradicts itself: {name} is {outer[name]!r} and {inner[name]!r}")
    constants = _CONSTANTS.get(kind, {})
    for name in constants.keys() & outer.keys():
        if outer[name] != constants[name]:
            raise TeacherError(f"{kind} with {name} = {outer[name]!r} is not supported, only {constants[name]}")
    if outer.get("model_type", network) != network:
        raise TeacherError(f"the file contradicts itself: model_type {outer['model_type']!r}, network {network!r}")
    _check_channels(outer.get("img_channels"), inner, 2 if kind == "iDDPMPrecond" else 1)
    dropped = constants.keys() | _NO_SHAPE | _DERIVED
    arguments = {name: value for name, value in (outer | inner).items() if name not in dropped}
    return checked_config({"preconditioning": kind, **arguments, "model_type": network})


def _check_channels(img_channels: object, inner: dict[str, Any], factor: int) -> None:
    for name, count in (("in_channels", 1), ("out_channels", factor)):
        if isinstance(img_channels, int) and inner.get(name, count * img_channels) != count * img_channels:
            raise TeacherError(f"{name} is {inner[name]!r}, but images have {img_channels} channels")
