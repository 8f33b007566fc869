"""What the commands share. Torch-free."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from hashlib import file_digest
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from simcore.config import Spec, SpecError, parse_as

SpecType = TypeVar("SpecType", bound=Spec)

DATASET_HELP = (
    "a data set's name (digits, mnist, eight-gaussians, checkerboard, two-moons), or "
    "the path of a .zip, an image folder or CIFAR-10's archive"
)


def add_origin(parser: argparse.ArgumentParser) -> None:
    """What the imports are told of their file."""
    parser.add_argument("--file-name", help="what its owner calls the file (default: its name)")
    parser.add_argument("--sha256", help="the hash that the file must have")
    parser.add_argument("--licence", default="unknown: see its source")
    parser.add_argument("--source", default="", help="where the file comes from, e.g. its URL")
    parser.add_argument("--pipe", action="store_true", help="events on stdout, requests on stdin; ends with it")


def checked_hash(file: Path, expected: str | None) -> str:
    """The file's sha256. Raises CommandError where it is not the expected one, OSError."""
    with file.open("rb") as content:
        sha256 = file_digest(content, "sha256").hexdigest()
    if expected and sha256 != expected.lower():
        raise CommandError(
            f"the file is not what was announced: its sha256 is {sha256}, not {expected.lower()}; it was damaged or "
            "replaced on its way: upload it again"
        )
    return sha256


class CommandError(Exception):
    """The command cannot do what was asked; the message is for the user."""


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The `--set key.path=value` option."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="settings",
        help="set one field of the specification, e.g. --set denoiser_optimizer.learning_rate=2e-4",
    )  # fmt: skip


def read_spec_file(path: Path, kind: type[SpecType]) -> SpecType:
    """A specification file. Raises CommandError, SpecError, OSError."""
    try:
        return parse_as(kind, json.loads(path.read_bytes()))
    except json.JSONDecodeError as error:
        raise CommandError(f"{path} is not JSON: {error}") from None


def with_settings(data: dict[str, Any], settings: Iterable[str], overrides: dict[str, Any]) -> dict[str, Any]:
    """Plain spec data with `key.path=value` settings and the overrides that are not None. Raises SpecError."""
    for setting in settings:
        path, equals, value = setting.partition("=")
        if not equals:
            raise SpecError({setting: "expected key.path=value"})
        _put(data, path, _plain(value))
    for path, value in overrides.items():
        if value is not None:
            _put(data, path, value)
    return data


def _plain(text: str) -> Any:
    """Lists and null as in JSON; the rest stays text, which the specification's types convert."""
    try:
        return json.loads(text) if text == "null" or text.startswith("[") else text
    except ValueError:
        return text


def _put(data: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        data = data.get(parent, {})
        if not isinstance(data, dict):
            raise SpecError({path: f"'{parent}' has no fields"})
    if last not in data:
        raise SpecError({path: f"no such setting; known here: {', '.join(data)}"})
    data[last] = value


def differences(first: BaseModel, second: BaseModel) -> list[str]:
    """Dotted paths of the fields in which two specifications of one kind differ."""
    found = []
    for name in type(first).model_fields:
        a, b = getattr(first, name), getattr(second, name)
        if isinstance(a, BaseModel) and type(a) is type(b):
            found += [f"{name}.{path}" for path in differences(a, b)]
        elif a != b:
            found.append(name)
    return found
