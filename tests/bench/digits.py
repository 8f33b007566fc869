"""Three seeds of the digits demo: `python tests/bench/digits.py [--seeds 3] [--set KEY=VALUE …]`.

Prints a table for docs/benchmarks.md: Fréchet distances (16,000 samples, final moving average, not the best one),
class accuracy and training time; the teacher is measured afresh. Exits 1 where the promise is not kept.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

# What the demo promises: mean of the seeds.
MOST_OF_TEACHER, LEAST_GAIN, LEAST_ACCURACY, MOST_SECONDS = 3.0, 20.0, 0.97, 600.0


MEASURED = ("frechet", "frechet_heldout", "accuracy")


def simcore(*arguments: str) -> dict[str, Any]:
    """The JSON that a command prints last."""
    command = [sys.executable, "-m", "simcore", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    arguments = parser.parse_args()
    settings = [word for setting in arguments.settings for word in ("--set", setting)]

    teacher = simcore("evaluate", "--checkpoint", "bundled:digits")
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seeds):
            out = str(Path(folder) / str(seed))
            runs.append(simcore("distill", "--preset", "digits-demo", "--seed", str(seed), "--out", out, *settings))

    print(f"\n{os.cpu_count()} CPU cores\n")
    print("| | NFE | Fréchet | held-out | accuracy | × teacher | iteration 0 ÷ | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    print(f"| teacher | {teacher['nfe']} | {figures(*(teacher[key] for key in MEASURED))} | 1 | | |")
    for run in runs:
        print(f"| seed {run['seed']} | 1 | {row(run, teacher)} |")
    average = {key: mean(run[key] for run in runs) for key in runs[0]}
    print(f"| **mean** | 1 | {row(average, teacher)} |")
    return 0 if promise_kept(average, teacher) else 1


def figures(frechet: float, heldout: float, accuracy: float) -> str:
    return f"{frechet:.2f} | {heldout:.2f} | {accuracy:.1%}"


def row(run: dict[str, float], teacher: dict[str, float]) -> str:
    measured = figures(*(run[f"student_{key}"] for key in MEASURED))
    ratio, gain = run["student_frechet"] / teacher["frechet"], run["initial_frechet"] / run["student_frechet"]
    return f"{measured} | {ratio:.2f} | {gain:.0f} | {run['seconds']:.0f}"


def promise_kept(run: dict[str, float], teacher: dict[str, float]) -> bool:
    return (
        run["student_frechet"] <= MOST_OF_TEACHER * teacher["frechet"]
        and run["initial_frechet"] >= LEAST_GAIN * run["student_frechet"]
        and run["student_accuracy"] >= LEAST_ACCURACY
        and run["seconds"] <= MOST_SECONDS
    )


if __name__ == "__main__":
    sys.exit(main())
