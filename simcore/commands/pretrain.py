"""`pretrain` and `train-classifier`: what the bundled assets were made with."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from tqdm import tqdm

from simcore.commands.common import DATASET_HELP, add_settings, with_settings
from simcore.config import parse_as
from simcore.pretrain_config import PretrainSpec, standard_spec
from simcore.resolve import available_cores


def add_pretrain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", help=DATASET_HELP)
    parser.add_argument("--out", type=Path, required=True, help="the teacher's folder")
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--seed", type=int)
    add_settings(parser)
    parser.set_defaults(command=run_pretrain)


def run_pretrain(arguments: argparse.Namespace) -> int:
    overrides = {"dataset": arguments.dataset, "iterations": arguments.iterations, "seed": arguments.seed}
    standard = standard_spec(arguments.dataset or "digits")
    data = with_settings(standard.model_dump(mode="json"), arguments.settings, overrides)
    spec = parse_as(PretrainSpec, data)

    import torch

    from simcore.datasets import load_dataset
    from simcore.pretraining import pretrain, write_teacher

    torch.set_num_threads(spec.threads or available_cores())
    dataset = load_dataset(spec.dataset)
    print(dataset, file=sys.stderr)
    bar = tqdm(total=spec.iterations, unit="it", desc="pretrain")
    for step, loss, average in pretrain(spec, dataset):
        bar.set_postfix(loss=f"{loss:.2f}", refresh=False)
        bar.update()
        if step == spec.iterations:
            bar.close()
            card = write_teacher(arguments.out, spec, dataset, average, reproduce(spec))
            print(card.model_dump_json(include={"name", "parameters", "evaluation"}))
    return 0


def reproduce(spec: PretrainSpec) -> str:
    """The command that trains this teacher again."""
    from simcore.commands.common import differences

    parts = ["python", "-m", "simcore", "pretrain", "--dataset", spec.dataset, "--out", "DIR"]
    for path in differences(spec, standard_spec(spec.dataset)):
        if path in ("dataset", "threads"):
            continue
        value: object = spec
        for name in path.split("."):
            value = getattr(value, name)
        parts += ["--set", f"{path}={list(value) if isinstance(value, tuple) else value}"]
    return shlex.join(parts)


def add_train_classifier(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", default="digits", help=f"{DATASET_HELP}; with labels")
    parser.add_argument("--out", type=Path, required=True, help="the extractor's folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=2000)
    parser.set_defaults(command=run_train_classifier)


def run_train_classifier(arguments: argparse.Namespace) -> int:
    from simcore.classifier import train_classifier

    steps = train_classifier(arguments.dataset, arguments.out, arguments.seed, arguments.iterations)
    for _ in tqdm(steps, total=arguments.iterations, unit="it", desc="train-classifier"):
        pass
    print((arguments.out / "extractor.json").read_text())
    return 0
