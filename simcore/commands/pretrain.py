"""`pretrain` and `train-classifier`: what the bundled assets were made with."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tqdm import tqdm

from simcore.commands.common import (
    DATASET_HELP,
    CommandError,
    add_settings,
    differences,
    read_spec_file,
    with_settings,
)
from simcore.commands.piped import run_piped
from simcore.commands.training import piped, run_on_terminal
from simcore.config import parse_as
from simcore.control import Control
from simcore.events import Event
from simcore.pretrain_config import PretrainSpec, denoiser_config, standard_spec
from simcore.resolve import resolve_pretraining


def add_pretrain(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--dataset", help=DATASET_HELP)
    source.add_argument("--spec", type=Path, help="start from a specification file (JSON)")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; the same command again resumes")
    parser.add_argument("--teacher", type=Path, metavar="DIR", help="the finished teacher's folder (default: --out)")
    parser.add_argument("--title", default="", help="the teacher's title in lists (default: its data set's)")
    parser.add_argument("--licence", default="", help="the teacher's licence (default: its data set's)")
    parser.add_argument("--source", default="", help="where the teacher comes from (default: its data set's source)")
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--seed", type=int)
    add_settings(parser)
    parser.add_argument("--resume", type=Path, metavar="FILE", help="with --pipe: the checkpoint to go on from")
    parser.add_argument("--pipe", action="store_true", help="events on stdout, requests on stdin; ends with it")
    parser.set_defaults(command=run_pretrain)


def run_pretrain(arguments: argparse.Namespace) -> int:
    train = partial(_train, arguments)
    if arguments.pipe:
        given = partial(_spec, arguments)
        return run_piped(lambda control: piped(given, arguments.out, train, control, arguments.resume))
    if arguments.resume:
        raise CommandError("--resume goes with --pipe; without it the same command resumes by itself")
    spec = _spec(arguments)

    from simcore.datasets import load_dataset
    from simcore.trained_teacher import check_vacant

    if not (arguments.out / "spec.json").exists():  # else it goes on, or is done
        check_vacant(arguments.teacher or arguments.out)
    data = load_dataset(spec.dataset)  # what does not fit is told before anything is written
    denoiser_config(spec, data.image_shape, data.classes, f"data set '{data.name}'")
    return run_on_terminal(spec, arguments.out, train, "pretrain")


def _spec(arguments: argparse.Namespace) -> PretrainSpec:
    """The resolved specification that the command line describes."""
    if arguments.spec:
        start = read_spec_file(arguments.spec, PretrainSpec)
    else:
        start = standard_spec(arguments.dataset or "digits")
    overrides = {"dataset": arguments.dataset, "iterations": arguments.iterations, "seed": arguments.seed}
    data = with_settings(start.model_dump(mode="json"), arguments.settings, overrides)
    return resolve_pretraining(parse_as(PretrainSpec, data))


def _train(
    arguments: argparse.Namespace, spec: PretrainSpec, run_dir: Path, control: Control, resume: Path | None
) -> Iterator[Event]:
    from simcore.pretraining import pretrain
    from simcore.trained_teacher import Origin

    origin = Origin(reproduce(spec), arguments.title, arguments.licence, arguments.source)
    return pretrain(spec, run_dir, control, resume, teacher=arguments.teacher or run_dir, origin=origin)


def reproduce(spec: PretrainSpec) -> str:
    """The command that trains this teacher again."""
    parts = ["python", "-m", "simcore", "pretrain", "--dataset", spec.dataset, "--out", "DIR"]
    standard = standard_spec(spec.dataset).model_copy(update={"device": spec.device, "threads": spec.threads})
    for path in differences(resolve_pretraining(spec), resolve_pretraining(standard)):
        if path.startswith("schedule."):  # what is written does not change what is learnt
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
