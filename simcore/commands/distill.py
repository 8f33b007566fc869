"""`distill`: on a terminal with a progress bar and resuming by itself, or for the studio with events on a pipe."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from simcore.commands.common import CommandError, add_settings, differences, with_settings
from simcore.config import RunSpec, parse_spec
from simcore.control import EXIT_ORPHANED, Control, InterruptControl, PipeControl, end_with_pipe
from simcore.events import Checkpoint, Evaluation, Event, Failed, Finished, Log, Metrics, Started, Stopped, event_line
from simcore.presets import find_preset
from simcore.resolve import resolve
from simcore.run_folder import EventLog, read_spec, write_spec
from simcore.teacher_card import read_card
from simcore.torchrun import become_torchrun, place

EXIT_FAILED = 1


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
        return _run_on_pipe(arguments)
    if arguments.resume:
        raise CommandError("--resume goes with --pipe; without it the same command resumes by itself")
    return _run_on_terminal(arguments)


def _spec(arguments: argparse.Namespace) -> RunSpec:
    """The resolved specification that the command line describes."""
    if arguments.preset:
        data = find_preset(arguments.preset).spec.model_dump(mode="json")
    else:
        try:
            data = parse_spec(json.loads(arguments.spec.read_bytes())).model_dump(mode="json")
        except json.JSONDecodeError as error:
            raise CommandError(f"{arguments.spec} is not JSON: {error}") from None
    overrides = {"iterations": arguments.iterations, "seed": arguments.seed}
    spec = parse_spec(with_settings(data, arguments.settings, overrides))
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
    resume = arguments.resume if arguments.pipe else newest_good_checkpoint(arguments.out)[0]
    with contextlib.suppress(TrainingError):  # the leading process meets and reports the same
        follow(_spec(arguments), resume)
    return 0


def _run_on_terminal(arguments: argparse.Namespace) -> int:
    spec, run_dir = _spec(arguments), arguments.out
    run_dir.mkdir(parents=True, exist_ok=True)
    stored, log = read_spec(run_dir), EventLog(run_dir)
    if stored is None:
        write_spec(run_dir, spec)
    elif differing := differences(stored, spec):
        raise CommandError(f"{run_dir} holds a run with other settings ({', '.join(differing)}); choose another folder")
    summary = log.summary()
    if summary is None:
        resume, step = newest_good_checkpoint(run_dir)
        log.rewind(step)
        _spread(spec)
        summary = _show(_recorded(spec, run_dir, InterruptControl(), resume), spec)
    if summary is None:
        return 0
    print(json.dumps(summary))
    return 0


def newest_good_checkpoint(run_dir: Path) -> tuple[Path | None, int | None]:
    """The checkpoint to resume from and its step; damaged ones are reported and passed over."""
    from simcore.checkpoint import CheckpointError, checkpoints_newest_first, read_checkpoint

    for path in checkpoints_newest_first(run_dir):
        try:
            return path, int(read_checkpoint(path).facts["step"])
        except CheckpointError as error:
            print(f"warning: {error}; going on from the one before", file=sys.stderr)
    return None, None


def _recorded(spec: RunSpec, run_dir: Path, control: Control, resume: Path | None) -> Iterator[Event]:
    """The run's events, each stored in its folder first. A failure becomes the last event, then is raised."""
    from simcore.trainer import distill

    log, step = EventLog(run_dir), 0
    try:
        for event in distill(spec, run_dir, control, resume):
            step = getattr(event, "step", step)
            log.append(event)
            yield event
    except Exception as error:
        expected = isinstance(error, (RuntimeError, ValueError, OSError)) and str(error)
        reason = str(error) if expected else f"unexpected {type(error).__name__}: {error}"
        failed = Failed(step=getattr(error, "step", step), reason=reason, part=_part(error))
        with contextlib.suppress(OSError):
            log.append(failed)
        yield failed
        raise


def _part(error: Exception) -> str:
    return str(getattr(error, "part", "")) or type(error).__name__


def _show(events: Iterator[Event], spec: RunSpec) -> dict[str, object] | None:
    """Draw the progress bar. Returns the summary, None where the run was stopped."""
    with tqdm(total=spec.iterations, unit="it", desc="distill", dynamic_ncols=True) as bar:
        for event in events:
            if isinstance(event, Started):
                bar.n = bar.initial = event.step
                bar.refresh()
            elif isinstance(event, Metrics):
                shown = {name: f"{event.values[name]:.3g}" for name in ("student_loss", "denoiser_loss")}
                bar.set_postfix(shown, refresh=False)
                bar.update()
            elif isinstance(event, Evaluation):
                figures = ", ".join(f"{name} {value:.4g}" for name, value in event.values.items())
                bar.write(f"step {event.step}, {event.source}: {figures} ({event.samples} samples)", file=sys.stderr)
            elif isinstance(event, Log):
                bar.write(f"{event.level}: {event.message}", file=sys.stderr)
            elif isinstance(event, Checkpoint):
                bar.write(f"step {event.step}: {event.path}", file=sys.stderr)
            elif isinstance(event, Stopped):
                bar.write(f"stopped at step {event.step}; the same command goes on from there", file=sys.stderr)
            elif isinstance(event, Finished):
                return event.summary
    return None


def _run_on_pipe(arguments: argparse.Namespace) -> int:
    # The pipe rules: Ctrl-C in the terminal goes to the whole group, and whoever holds the pipe decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = PipeControl(sys.stdin.fileno())
    # Nothing but events may reach the pipe, whatever a library prints.
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(event: Event) -> None:
        if isinstance(event, (Finished, Stopped, Failed)):
            control.close()
        pipe.write(event_line(event) + "\n")
        pipe.flush()

    failed = False
    try:
        try:
            spec = _spec(arguments)
            arguments.out.mkdir(parents=True, exist_ok=True)
            write_spec(arguments.out, spec)
        except (CommandError, ValueError, OSError) as error:
            send(Failed(step=0, reason=str(error), part="specification"))
            return EXIT_FAILED
        for event in _recorded(spec, arguments.out, control, arguments.resume):
            failed = failed or isinstance(event, Failed)
            send(event)
    except BrokenPipeError:
        os._exit(EXIT_ORPHANED)
    except Exception:
        traceback.print_exc(file=sys.stderr)
        return EXIT_FAILED
    return EXIT_FAILED if failed else 0
