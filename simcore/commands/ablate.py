"""`ablate`: the grid of the paper's Figure 2, each cell and seed an ordinary run in a process of its own."""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, NoReturn

from tqdm import tqdm

from simcore.ablation import VARIED, Cell, outcome, plan, read_base, start, write_base
from simcore.ablation_report import Report
from simcore.commands.common import CommandError, add_settings, differences, with_settings
from simcore.commands.piped import EXIT_FAILED
from simcore.commands.training import newest_good_checkpoint
from simcore.config import RunSpec, parse_spec
from simcore.events import Failed, Finished, Metrics, Started, Stopped, parse_event
from simcore.presets import find_preset
from simcore.resolve import resolve
from simcore.run_folder import EventLog, write_spec
from simcore.teacher_card import read_card

_EVERY, _SAMPLES = 100, 4_000


def add_ablate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--base", required=True, metavar="PRESET", help="the preset whose settings all cells share")
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--seeds", type=int, default=3, help="runs of each cell (default: 3)")
    parser.add_argument("--out", type=Path, required=True, help="the folder; the same command again goes on there")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, each with one thread (default: 1)")
    add_settings(parser)
    parser.set_defaults(command=run_ablate)


def run_ablate(arguments: argparse.Namespace) -> int:
    for name in ("seeds", "jobs"):
        if getattr(arguments, name) < 1:
            raise CommandError(f"--{name} must be at least 1 (given: {getattr(arguments, name)})")
    base, out = base_spec(arguments), arguments.out
    before = read_base(out)
    # Resolved, for settings that are newer than the folder.
    if before is not None and (differing := differences(resolve(before, read_card(before.teacher)), base)):
        raise CommandError(
            f"{out} holds an ablation with other settings ({', '.join(differing)}); choose another folder"
        )
    cells = plan(base, arguments.seeds, out)
    write_base(out, base)
    stopped = not _Runs(cells, arguments.jobs).work()
    ended = _report(base, arguments.seeds, cells, out)
    if not ended:
        print("the same command goes on from there", file=sys.stderr)
    return 0 if ended or stopped else EXIT_FAILED


def base_spec(arguments: argparse.Namespace) -> RunSpec:
    """The settings that all cells share. Raises SpecError, TeacherError or CommandError."""
    data = find_preset(arguments.base).spec.model_dump(mode="json")
    given = [setting.partition("=")[0] for setting in arguments.settings]
    if decided := [path for path in given if path in VARIED]:
        raise CommandError(f"--set {decided[0]}: the ablation's cells decide it; leave it out")
    shared = {"threads": 1, "evaluation.every": _EVERY, "evaluation.samples": _SAMPLES}
    shared["iterations"] = arguments.iterations
    spec = parse_spec(with_settings(with_settings(data, [], shared), arguments.settings, {}))
    card = read_card(spec.teacher)

    from simcore.evaluation import has_evaluator

    if not has_evaluator(card.dataset):
        raise CommandError(
            f"an ablation of '{arguments.base}' cannot be measured: no feature extractor for data set "
            f"'{card.dataset}' is bundled"
        )
    return resolve(spec, card)


class _Runs:
    """The cells' runs, `jobs` at once. Ctrl-C pauses those that run."""

    def __init__(self, cells: list[Cell], jobs: int) -> None:
        self._cells, self._jobs = cells, jobs
        self._processes: list[subprocess.Popen[str]] = []
        self._lock, self._stopping = threading.Lock(), False

    def work(self) -> bool:
        """Run what has not run yet, or not to its end. Returns False where Ctrl-C came before."""
        total = sum(cell.spec.iterations for cell in self._cells)
        bar = tqdm(total=total, unit="it", desc="ablate", dynamic_ncols=True)
        with bar, ThreadPoolExecutor(self._jobs) as pool:
            try:
                for done in [pool.submit(self._run, cell, bar) for cell in self._cells]:
                    done.result()
            except KeyboardInterrupt:
                self._pause()
            except Exception:
                self._pause()
                raise
        return not self._stopping

    def _pause(self) -> None:
        with self._lock:
            self._stopping = True
            for process in self._processes:
                with contextlib.suppress(OSError, ValueError):  # those that have ended
                    _pipe(process.stdin).write("pause\n")
                    _pipe(process.stdin).flush()

    def _run(self, cell: Cell, bar: tqdm[NoReturn]) -> None:
        """One run, from where its folder stands to its end, its failure or the pause."""
        if outcome(cell).finished:
            bar.update(cell.spec.iterations)
            return
        with self._lock:
            if self._stopping:
                return
            process = _start(cell)
            self._processes.append(process)
        step, last = 0, None
        with process:  # waits for its end and closes the pipes
            for line in _pipe(process.stdout):
                if not line.endswith("\n"):
                    break  # a kill cut it short
                last = parse_event(line)
                if isinstance(last, (Started, Metrics)):
                    bar.update(last.step - step)
                    step = last.step
        told = f"its process ended with code {process.returncode}"
        if isinstance(last, (Finished, Stopped, Failed)):
            told = f"failed: {last.reason}" if isinstance(last, Failed) else last.type
        bar.write(f"{cell.folder}: {told}", file=sys.stderr)


def _start(cell: Cell) -> subprocess.Popen[str]:
    """`distill --pipe` for a cell, from its newest checkpoint. It ends with us, because its standard input closes."""
    cell.folder.mkdir(parents=True, exist_ok=True)
    resume, step = newest_good_checkpoint(cell.folder)
    EventLog(cell.folder).rewind(step)
    write_spec(cell.folder, cell.spec)
    command = [sys.executable, "-m", "simcore", "distill", "--pipe", "--out", str(cell.folder)]
    command += ["--spec", str(cell.folder / "spec.json"), *(["--resume", str(resume)] if resume else [])]
    with (cell.folder / "process.log").open("w") as log:
        # A process group of its own: Ctrl-C reaches it through us only.
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, process_group=0
        )


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def _report(base: RunSpec, seeds: int, cells: list[Cell], out: Path) -> bool:
    """Write tables and figure, print the ranking. Returns whether every run has ended."""
    from simcore.ablation_figure import save_figure
    from simcore.checkpoint import write_atomically

    outcomes, common = [outcome(cell) for cell in cells], start(cells[0])
    report = Report(read_card(base.teacher).dataset, outcomes, common)
    text = report.markdown(base, seeds)
    write_atomically(out / "table.md", text.encode())
    write_atomically(out / "table.csv", report.csv().encode())
    if any(found.figures for found in outcomes):
        title = f"{base.teacher}, batch {base.batch_size}: mean and range of {seeds} seed(s)"
        save_figure(out, title, report.headline, outcomes, common)
    print(text)
    print(out)
    return all(found.finished or found.failure for found in outcomes)
