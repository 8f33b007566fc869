"""`import-teacher`: a published checkpoint becomes a teacher's folder."""

from __future__ import annotations

import argparse
import json
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from simcore.commands.common import CommandError, add_origin, checked_hash
from simcore.commands.piped import run_piped
from simcore.control import Control
from simcore.edm_config import checked_config, published_config
from simcore.edm_pickle import read_checkpoint
from simcore.events import Event, Finished, Log, Started
from simcore.file_kinds import HEAD, UnknownFile, file_kind
from simcore.teacher_card import TeacherCard


def add_import_teacher(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="an EDM checkpoint (.pkl), a .safetensors file or a plain state_dict")
    parser.add_argument("--out", type=Path, required=True, help="the teacher's folder")
    parser.add_argument(
        "--spec", type=Path, help="JSON of the network's configuration, for files that do not hold it (not for .pkl)"
    )
    parser.add_argument("--name", help="the teacher's name (default: the file's)")
    parser.add_argument("--dataset", default="unknown", help="what it was trained on, e.g. cifar10")
    parser.add_argument("--title", help="its title in lists (default: its name)")
    add_origin(parser)
    parser.set_defaults(command=run_import_teacher)


def run_import_teacher(arguments: argparse.Namespace) -> int:
    if arguments.pipe:
        return run_piped(partial(_piped, arguments))
    card, _ = _import(arguments)
    print(card.model_dump_json(include={"name", "parameters", "sha256", "source", "config"}))
    return 0


def _piped(arguments: argparse.Namespace, control: Control) -> Iterator[Event]:
    yield Started(step=0, total_steps=1, device="cpu")
    yield Log(message=f"Reading {_file_name(arguments)} without executing anything in it.")
    card, file_sha256 = _import(arguments)
    yield Log(message=f"{card.parameters:,} parameters: every name, shape and value was checked.")
    yield Finished(step=1, summary={"card": card.model_dump(mode="json"), "file_sha256": file_sha256})


def _import(arguments: argparse.Namespace) -> tuple[TeacherCard, str]:
    """(the card, sha256 of the file). Raises CommandError."""
    file: Path = arguments.file
    if not file.is_file():
        raise CommandError(f"there is no file {arguments.file_name or file}")
    if (arguments.out / "teacher.json").exists():
        raise CommandError(f"{arguments.out} already holds a teacher")
    sha256 = checked_hash(file, arguments.sha256)
    try:
        with tempfile.TemporaryDirectory() as folder:
            config, weights = _read(file, arguments.spec, Path(folder))

            from simcore.teacher_import import import_teacher

            return import_teacher(config, weights, arguments.out, **_facts(arguments, sha256)), sha256
    except ValueError as error:
        raise CommandError(f"cannot import {_file_name(arguments)}: {error}") from None


def _read(file: Path, spec: Path | None, folder: Path) -> tuple[dict[str, Any], Path]:
    """(configuration, safetensors file). Raises ValueError with the reason."""
    config = None if spec is None else checked_config(_json(spec))
    if file.suffix == ".safetensors" or _is_safetensors(file):
        weights = file
    else:
        description, weights = read_checkpoint(file, folder)
        if description.format == "edm":
            if config is not None:
                raise ValueError("it describes its network itself: leave --spec out")
            return published_config(description), weights
    if config is None:
        raise ValueError("it does not say which network it is: add --spec CONFIG.json")
    return config, weights


def _is_safetensors(file: Path) -> bool:
    with file.open("rb") as content, suppress(UnknownFile):
        return file_kind(content.read(HEAD)) == "safetensors"
    return False


def _json(path: Path) -> object:
    """The configuration in a JSON file, or in a teacher's card."""
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path.name} is not JSON: {error}") from None
    return content.get("config", content) if isinstance(content, dict) else content


def _file_name(arguments: argparse.Namespace) -> str:
    return str(arguments.file_name or arguments.file.name)


def _facts(arguments: argparse.Namespace, sha256: str) -> dict[str, str]:
    file_name = _file_name(arguments)
    name = arguments.name or Path(file_name).stem
    command = ["python", "-m", "simcore", "import-teacher", file_name, "--out", "DIR"]
    return {
        "name": name,
        "title": arguments.title or name,
        "description": f"Imported from {file_name}.",
        "dataset": arguments.dataset,
        "licence": arguments.licence,
        "source": f"{arguments.source or file_name} (sha256 {sha256})",
        "command": shlex.join(command + (["--spec", arguments.spec.name] if arguments.spec else [])),
    }
