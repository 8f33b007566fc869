"""What `distill` and `pretrain` share: a run on a terminal, resuming by itself, or with its events on a pipe."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from simcore.commands.common import CommandError, differences
from simcore.commands.piped import reason_of
from simcore.config import RunSpec
from simcore.control import Control, InterruptControl
from simcore.events import Checkpoint, Evaluation, Event, Failed, Finished, Log, Metrics, Started, Stopped
from simcore.pretrain_config import PretrainSpec
from simcore.run_folder import EventLog, read_spec, write_spec

SpecType = TypeVar("SpecType", RunSpec, PretrainSpec)
# Trains in a folder, from a checkpoint or from the start.
Train = Callable[[SpecType, Path, Control, Path | None], Iterator[Event]]
_LOSSES = ("student_loss", "denoiser_loss")


def run_on_terminal(
    spec: SpecType, run_dir: Path, train: Train[SpecType], name: str, before: Callable[[], None] = lambda: None
) -> int:
    """Start, or go on; `before` is called once it is certain that there is something to do. Returns the exit code."""
    run_dir.mkdir(parents=True, exist_ok=True)
    stored, log = read_spec(run_dir, type(spec)), EventLog(run_dir)
    if stored is None:
        write_spec(run_dir, spec)
    elif differing := differences(stored, spec):
        raise CommandError(f"{run_dir} holds a run with other settings ({', '.join(differing)}); choose another folder")
    summary = log.summary()
    if summary is None:
        resume, step = newest_good_checkpoint(run_dir)
        log.rewind(step)
        before()
        summary = _show(recorded(train, spec, run_dir, InterruptControl(), resume), spec.iterations, name)
    if summary is None:
        return 0
    print(json.dumps(summary))
    return 0


def piped(
    spec: Callable[[], SpecType], run_dir: Path, train: Train[SpecType], control: Control, resume: Path | None
) -> Iterator[Event]:
    """For `run_piped`; what is wrong with the specification becomes Failed."""
    try:
        given = spec()
        run_dir.mkdir(parents=True, exist_ok=True)
        write_spec(run_dir, given)
    except (CommandError, ValueError, OSError) as error:
        yield Failed(step=0, reason=str(error), part="specification")
        return
    yield from recorded(train, given, run_dir, control, resume)


def newest_good_checkpoint(run_dir: Path) -> tuple[Path | None, int | None]:
    """The checkpoint to resume from and its step; damaged ones are reported and passed over."""
    from simcore.checkpoint import CheckpointError, checkpoints_newest_first, read_checkpoint

    for path in checkpoints_newest_first(run_dir):
        try:
            return path, int(read_checkpoint(path).facts["step"])
        except CheckpointError as error:
            print(f"warning: {error}; going on from the one before", file=sys.stderr)
    return None, None


def recorded(
    train: Train[SpecType], spec: SpecType, run_dir: Path, control: Control, resume: Path | None
) -> Iterator[Event]:
    """The run's events, each stored in its folder first. A failure becomes the last event, then is raised."""
    log, step = EventLog(run_dir), 0
    try:
        for event in train(spec, run_dir, control, resume):
            step = getattr(event, "step", step)
            log.append(event)
            yield event
    except Exception as error:
        failed = Failed(step=getattr(error, "step", step), reason=reason_of(error), part=_part(error))
        with contextlib.suppress(OSError):
            log.append(failed)
        yield failed
        raise


def _part(error: Exception) -> str:
    return str(getattr(error, "part", "")) or type(error).__name__


def _show(events: Iterator[Event], total: int, name: str) -> dict[str, object] | None:
    """Draw the progress bar. Returns the summary, None where the run was stopped."""
    with tqdm(total=total, unit="it", desc=name, dynamic_ncols=True) as bar:
        for event in events:
            if isinstance(event, Started):
                bar.n = bar.initial = event.step
                bar.refresh()
            elif isinstance(event, Metrics):
                shown = {loss: f"{event.values[loss]:.3g}" for loss in _LOSSES if loss in event.values}
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
