"""`distill`: on a terminal with a progress bar and resuming by itself, or for the studio with events on a pipe."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from simcore.commands.common import CommandError, add_settings, read_spec_file, with_settings
from simcore.commands.piped import run_piped
from simcore.commands.training import newest_good_checkpoint, piped, run_on_terminal
from simcore.config import RunSpec, parse_as
from simcore.control import Control, end_with_pipe
from simcore.events import Event
from simcore.presets import find_preset
from simcore.resolve import resolve
from simcore.run_folder import EventLog
from simcore.teacher_card import read_card
from simcore.torchrun import become_torchrun, place


def add_distill(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--preset", help="start from a preset, e.g. digits-demo")
    source.add_argument("--spec", type=Path, help="start from a specification file (JSON)")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; the same command again resumes")
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--seed", type=int)
    add_settings(parser)
    parser.add_argument("--resume", type=Path, metavar="FILE", help="with --pipe: the checkpoint to go on from")
    parser.add_argument("--pipe", action="store_true", help="events on stdout, requests on stdin; ends with it")
    parser.set_defaults(command=run_distill)


def run_distill(arguments: argparse.Namespace) -> int:
    here = place()
    if here and here.rank > 0:
        return _follow(arguments)
    if arguments.pipe:
        # Before anything touches the pipes; what is wrong with the specification is said on them below.
        with contextlib.suppress(CommandError, ValueError, OSError):
            _spread(_spec(arguments))
        given = partial(_spec, arguments)
        return run_piped(lambda control: piped(given, arguments.out, _train, control, arguments.resume))
    if arguments.resume:
        raise CommandError("--resume goes with --pipe; without it the same command resumes by itself")
    spec = _spec(arguments)
    return run_on_terminal(spec, arguments.out, _train, "distill", before=lambda: _spread(spec))


def _spec(arguments: argparse.Namespace) -> RunSpec:
    """The resolved specification that the command line describes."""
    if arguments.preset:
        data = find_preset(arguments.preset).spec.model_dump(mode="json")
    else:
        data = read_spec_file(arguments.spec, RunSpec).model_dump(mode="json")
    overrides = {"iterations": arguments.iterations, "seed": arguments.seed}
    spec = parse_as(RunSpec, with_settings(data, arguments.settings, overrides))
    return resolve(spec, read_card(spec.teacher))


def _spread(spec: RunSpec) -> None:
    """Start again under torchrun where the run wants several devices and torchrun has not started us yet."""
    if spec.performance.devices > 1 and place() is None:
        become_torchrun(spec.performance.devices)


def _follow(arguments: argparse.Namespace) -> int:
    """A process beside the leading one: no output, no files; it ends when that one does."""
    from simcore.trainer import follow
    from simcore.updates import TrainingError

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if arguments.pipe:
        end_with_pipe(sys.stdin.fileno())
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the leading process pauses for all
        if EventLog(arguments.out).summary() is not None:  # there is nothing to do, as that one finds too
            return 0
    resume = arguments.resume if arguments.pipe else newest_good_checkpoint(arguments.out)[0]
    with contextlib.suppress(TrainingError):  # all processes raise it or none; the leading one reports it
        follow(_spec(arguments), resume)
    return 0


def _train(spec: RunSpec, run_dir: Path, control: Control, resume: Path | None) -> Iterator[Event]:
    from simcore.trainer import distill

    return distill(spec, run_dir, control, resume)
