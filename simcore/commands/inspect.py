"""`sample` and `evaluate`: look at a student or a teacher."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from simcore.commands.common import DATASET_HELP, CommandError
from simcore.commands.piped import run_piped
from simcore.control import Control
from simcore.events import Event, Finished, Started

_SOURCE = "a checkpoint, an exported student (.safetensors), or a teacher: bundled:NAME or its folder"


def add_sample(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", required=True, help=_SOURCE)
    parser.add_argument("--count", type=int, default=64, help="images in the grid, or points")
    parser.add_argument("--seed", type=int, default=0)
    _add_steps(parser)
    parser.add_argument("--out", type=Path, required=True, help="the PNG file")
    parser.add_argument("--pipe", action="store_true", help="events on stdout, requests on stdin; ends with it")
    parser.set_defaults(command=run_sample)


def _add_steps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=18, help="Heun steps of a teacher, 1 to 1000")


def _check_steps(arguments: argparse.Namespace) -> None:
    if not 1 <= arguments.steps <= 1000:
        raise CommandError(f"--steps must be between 1 and 1000 (given: {arguments.steps})")


def run_sample(arguments: argparse.Namespace) -> int:
    _check_steps(arguments)
    if not 1 <= arguments.count <= 10_000:
        raise CommandError(f"--count must be between 1 and 10000 (given: {arguments.count})")
    if arguments.out.suffix != ".png":
        raise CommandError(f"--out must name a .png file (given: {arguments.out})")
    if arguments.pipe:
        return run_piped(partial(_piped, arguments))
    _draw(arguments)
    print(arguments.out)
    return 0


def _piped(arguments: argparse.Namespace, control: Control) -> Iterator[Event]:
    yield Started(step=0, total_steps=1, device="cpu")
    nfe = _draw(arguments)
    yield Finished(step=1, summary={"count": arguments.count, "nfe": nfe})


def _draw(arguments: argparse.Namespace) -> int:
    """Write the grid; returns the sampler's number of network evaluations."""
    import torch

    from simcore.evaluation import draw
    from simcore.pictures import save_samples
    from simcore.students import load_source

    dataset, source = load_source(arguments.checkpoint, arguments.steps)
    images = torch.cat([batch for batch, _ in draw(source, arguments.count, arguments.seed, "samples")])
    save_samples(arguments.out, images, source.label_dim, dataset)
    return source.nfe


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", required=True, help=_SOURCE)
    parser.add_argument("--samples", type=int, default=16_000)
    _add_steps(parser)
    parser.add_argument("--dataset", help=f"{DATASET_HELP}; by default the one that the teacher's card names")
    parser.add_argument(
        "--extractor", metavar="REF",
        help="what to measure in: a folder that train-classifier wrote, or inception:FILE with torch-fidelity's "
        "weights; by default the data set's bundled extractor",
    )  # fmt: skip
    parser.set_defaults(command=run_evaluate)


def run_evaluate(arguments: argparse.Namespace) -> int:
    _check_steps(arguments)
    if not 100 <= arguments.samples <= 1_000_000:
        raise CommandError(f"--samples must be between 100 and 1000000 (given: {arguments.samples})")

    from simcore.evaluation import open_evaluator
    from simcore.students import load_source

    dataset, source = load_source(arguments.checkpoint, arguments.steps)
    evaluator = open_evaluator(arguments.dataset or dataset, arguments.extractor)
    values = evaluator.measure(source, arguments.samples)
    print(json.dumps({**values, "samples": arguments.samples, "nfe": source.nfe}))
    return 0
