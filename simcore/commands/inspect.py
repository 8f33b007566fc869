"""`sample` and `evaluate`: look at a student or a teacher."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from simcore.commands.common import DATASET_HELP, CommandError

_SOURCE = "a checkpoint, an exported student (.safetensors), or a teacher: bundled:NAME or its folder"


def add_sample(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", required=True, help=_SOURCE)
    parser.add_argument("--count", type=int, default=64, help="images in the grid")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="the PNG file")
    parser.set_defaults(command=run_sample)


def run_sample(arguments: argparse.Namespace) -> int:
    if not 1 <= arguments.count <= 10_000:
        raise CommandError(f"--count must be between 1 and 10000 (given: {arguments.count})")
    if arguments.out.suffix != ".png":
        raise CommandError(f"--out must name a .png file (given: {arguments.out})")

    import torch

    from simcore.evaluation import draw
    from simcore.images import grid_columns, save_grid
    from simcore.students import load_source

    _, source = load_source(arguments.checkpoint)
    images = torch.cat([batch for batch, _ in draw(source, arguments.count, arguments.seed, "samples")])
    save_grid(arguments.out, images, grid_columns(arguments.count, source.label_dim))
    print(arguments.out)
    return 0


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", required=True, help=_SOURCE)
    parser.add_argument("--samples", type=int, default=16_000)
    parser.add_argument("--dataset", help=f"{DATASET_HELP}; by default the one that the teacher's card names")
    parser.add_argument(
        "--extractor", metavar="REF",
        help="what to measure in: a folder that train-classifier wrote, or inception:FILE with torch-fidelity's "
        "weights; by default the data set's bundled extractor",
    )  # fmt: skip
    parser.set_defaults(command=run_evaluate)


def run_evaluate(arguments: argparse.Namespace) -> int:
    if not 100 <= arguments.samples <= 1_000_000:
        raise CommandError(f"--samples must be between 100 and 1000000 (given: {arguments.samples})")

    from simcore.evaluation import Evaluator
    from simcore.students import load_source

    dataset, source = load_source(arguments.checkpoint)
    values = Evaluator(arguments.dataset or dataset, arguments.extractor).measure(source, arguments.samples)
    print(json.dumps({**values, "samples": arguments.samples, "nfe": source.nfe}))
    return 0
