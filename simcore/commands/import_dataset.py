"""`import-dataset`: a file of images is checked whole, and gets a card and a picture of some of them."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from simcore.commands.common import CommandError, add_origin, checked_hash
from simcore.commands.piped import run_piped
from simcore.control import Control, NoControl
from simcore.dataset_card import CARD
from simcore.events import Event, Finished, Log, Started, Stopped
from simcore.file_kinds import HEAD, SUFFIXES, FileKind, file_kind

_LOG_SECONDS = 5.0
_CLAUSE = re.compile(r"[^a-z0-9]+")


def add_import_dataset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="a .zip of images or CIFAR-10's archive")
    parser.add_argument("--out", type=Path, required=True, help="the folder of its card and picture")
    parser.add_argument("--keep", action="store_true", help="keep the file in the folder, too; else it stays in place")
    parser.add_argument("--name", help="the data set's name (default: the file's)")
    add_origin(parser)
    parser.set_defaults(command=run_import_dataset)


def run_import_dataset(arguments: argparse.Namespace) -> int:
    if arguments.pipe:
        return run_piped(partial(_events, arguments))
    for event in _events(arguments, NoControl()):
        if isinstance(event, Finished):
            print((arguments.out / CARD).read_text())
    return 0


def _events(arguments: argparse.Namespace, control: Control) -> Iterator[Event]:
    """The import, a line of log now and then. What it wrote is removed where it fails or is stopped."""
    if not arguments.file.is_file():
        raise CommandError(f"there is no file {arguments.file_name or arguments.file}")
    if arguments.out.exists():
        raise CommandError(f"{arguments.out} already exists")
    whole = False
    try:
        for event in _checked(arguments, control):
            whole = whole or isinstance(event, Finished)
            yield event
    finally:
        if not whole:
            shutil.rmtree(arguments.out, ignore_errors=True)


def _checked(arguments: argparse.Namespace, control: Control) -> Iterator[Event]:
    file: Path = arguments.file
    file_name = arguments.file_name or file.name
    yield Started(step=0, total_steps=1, device="cpu")
    sha256, kind = checked_hash(file, arguments.sha256), _kind(file)

    from simcore.datasets import DatasetError, load_dataset
    from simcore.datasets.describe import decode_all, describe, write_card

    try:
        place = _kept(file, arguments.out, _slug(arguments.name or file_name), kind) if arguments.keep else file
        data = load_dataset(str(place))
        yield Log(message=f"{data}. Decoding every image.")
        said = time.monotonic()
        for done in decode_all(data):
            if (request := control.poll()) in ("pause", "cancel"):
                yield Stopped(step=0, reason="pause" if request == "pause" else "cancel")
                return
            if time.monotonic() - said > _LOG_SECONDS:
                yield Log(message=f"{done:,} of {len(data.train) + len(data.heldout):,} images are whole so far.")
                said = time.monotonic()
        card = describe(data, kind, sha256, file.stat().st_size)
        changes = {
            "name": arguments.name or data.name,
            "licence": arguments.licence or data.licence,
            "source": arguments.source or (data.source if kind == "cifar_archive" else file_name),
        }
        card = card.model_copy(update=changes)
        write_card(arguments.out, card, data)
    except DatasetError as error:
        said_of = str(error)
        for path in (arguments.out, file):  # where it lies is the studio's affair
            said_of = re.sub(rf"{re.escape(str(path))}(/[\w.-]*)?", file_name, said_of)
        raise CommandError(f"cannot import {file_name}: {said_of.removeprefix(f'{file_name}: ')}") from None
    yield Finished(step=1, summary={"card": card.model_dump(mode="json"), "file_sha256": sha256})


def _kind(file: Path) -> FileKind:
    with file.open("rb") as content:
        kind = file_kind(content.read(HEAD))
    if kind not in ("images_zip", "cifar_archive"):
        raise CommandError(f"{file.name} holds no images: it is a {SUFFIXES[kind]} of a network's weights")
    return kind


def _kept(file: Path, folder: Path, name: str, kind: FileKind) -> Path:
    """The file under a name of ours in the folder: a second name of the same bytes where the disk has such."""
    folder.mkdir(parents=True)
    place = folder / f"{name}{SUFFIXES[kind]}"
    try:
        os.link(file, place)
    except OSError:
        shutil.copyfile(file, place)
    return place


def _slug(name: str) -> str:
    """Letters, digits and hyphens: what people call a thing never becomes a path."""
    return _CLAUSE.sub("-", name.lower().removesuffix(".gz").rsplit(".", 1)[0]).strip("-")[:60] or "images"
