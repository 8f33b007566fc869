"""`import-teacher`: a published checkpoint becomes a teacher's folder."""

from __future__ import annotations

import argparse
import json
import shlex
import tempfile
from hashlib import file_digest
from pathlib import Path
from typing import Any

from simcore.commands.common import CommandError
from simcore.edm_config import checked_config, published_config
from simcore.edm_pickle import read_checkpoint


def add_import_teacher(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="an EDM checkpoint (.pkl), a .safetensors file or a plain state_dict")
    parser.add_argument("--out", type=Path, required=True, help="the teacher's folder")
    parser.add_argument(
        "--spec", type=Path, help="JSON of the network's configuration, for files that do not hold it (not for .pkl)"
    )
    parser.add_argument("--name", help="the teacher's name (default: the file's)")
    parser.add_argument("--dataset", default="unknown", help="what it was trained on, e.g. cifar10")
    parser.add_argument("--licence", default="unknown: see its source")
    parser.add_argument("--source", default="", help="where the file comes from, e.g. its URL")
    parser.set_defaults(command=run_import_teacher)


def run_import_teacher(arguments: argparse.Namespace) -> int:
    file: Path = arguments.file
    if not file.is_file():
        raise CommandError(f"there is no file {file}")
    if (arguments.out / "teacher.json").exists():
        raise CommandError(f"{arguments.out} already holds a teacher")
    try:
        with tempfile.TemporaryDirectory() as folder:
            config, weights = _read(file, arguments.spec, Path(folder))

            from simcore.teacher_import import import_teacher

            card = import_teacher(config, weights, arguments.out, **_facts(arguments))
    except ValueError as error:
        raise CommandError(f"cannot import {file.name}: {error}") from None
    print(card.model_dump_json(include={"name", "parameters", "sha256", "source", "config"}))
    return 0


def _read(file: Path, spec: Path | None, folder: Path) -> tuple[dict[str, Any], Path]:
    """(configuration, safetensors file). Raises ValueError with the reason."""
    config = None if spec is None else checked_config(_json(spec))
    if file.suffix == ".safetensors":
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


def _json(path: Path) -> object:
    """The configuration in a JSON file, or in a teacher's card."""
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path.name} is not JSON: {error}") from None
    return content.get("config", content) if isinstance(content, dict) else content


def _facts(arguments: argparse.Namespace) -> dict[str, str]:
    file: Path = arguments.file
    name = arguments.name or file.stem
    with file.open("rb") as content:
        sha256 = file_digest(content, "sha256").hexdigest()
    command = ["python", "-m", "simcore", "import-teacher", file.name, "--out", "DIR"]
    return {
        "name": name,
        "title": name,
        "description": f"Imported from {file.name}.",
        "dataset": arguments.dataset,
        "licence": arguments.licence,
        "source": f"{arguments.source or file.name} (sha256 {sha256})",
        "command": shlex.join(command + (["--spec", arguments.spec.name] if arguments.spec else [])),
    }
