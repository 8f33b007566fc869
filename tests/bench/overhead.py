"""What the studio costs a run: the same 200 iterations through the studio and by simcore alone.

Time from the first to the last step event, as it arrives at a watcher of the WebSocket and at a reader of the pipe.
Three interleaved pairs; prints each pair's ratio and the median.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import websockets

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # started by its path, it finds the other tests' tools

from studio.environment import PROJECT
from tests.launch_spec import spec_with
from tests.stack import Stack, Visitor

ITERATIONS = 200
PAIRS = 3
SETTINGS: dict[str, object] = {
    "iterations": ITERATIONS,
    "schedule.samples_every": 10 * ITERATIONS,
    "schedule.checkpoint_every": 10 * ITERATIONS,
    "evaluation.every": 0,
    "evaluation.samples": 100,
    "evaluation.final_samples": 100,
}


class StepClock:
    """Arrival of the first and of the last step event."""

    def __init__(self) -> None:
        self._arrivals: dict[int, float] = {}

    def note(self, event: dict[str, object]) -> None:
        if event["type"] == "metrics":
            self._arrivals[int(str(event["step"]))] = time.perf_counter()

    @property
    def seconds(self) -> float:
        assert len(self._arrivals) == ITERATIONS
        return self._arrivals[ITERATIONS] - self._arrivals[1]


def alone(folder: Path) -> float:
    """Seconds by `python -m simcore` with a reader on its pipe."""
    spec = folder / "spec.json"
    spec.write_text(spec_with(SETTINGS).model_dump_json())
    command = [sys.executable, "-m", "simcore", "distill", "--spec", str(spec), "--out", str(folder / "out"), "--pipe"]
    clock = StepClock()
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            clock.note(json.loads(line))
    return clock.seconds


def through_the_studio(stack: Stack, visitor: Visitor) -> float:
    """Seconds by a run of the studio with one watcher."""
    return asyncio.run(_watch(stack, visitor, stack.launch(SETTINGS)))


async def _watch(stack: Stack, visitor: Visitor, run: int) -> float:
    clock = StepClock()
    headers = {"Cookie": visitor.cookie_header, "Origin": visitor.base}
    url = f"ws://127.0.0.1:{stack.port}/ws/runs/{run}/"
    async with websockets.connect(url, additional_headers=headers, max_size=None) as socket:
        async for text in socket:
            for event in json.loads(text).get("events", []):
                clock.note(event)
                if event["type"] == "finished":
                    return clock.seconds
    raise RuntimeError("the socket closed before the run finished")


def main() -> None:
    ratios = []
    with tempfile.TemporaryDirectory() as name, Stack(Path(name) / "data", lease_seconds=15, ring_seconds=5) as stack:
        stack.port = stack.start_web()
        stack.start_worker("runs")
        stack.start_worker("light")
        stack.start_beat()
        visitor = Visitor(stack.port)
        for pair in range(1, PAIRS + 1):
            folder = Path(name) / f"alone-{pair}"
            folder.mkdir()
            times = {"alone": 0.0, "studio": 0.0}
            for side in ("alone", "studio") if pair % 2 else ("studio", "alone"):
                times[side] = alone(folder) if side == "alone" else through_the_studio(stack, visitor)
            ratios.append(times["studio"] / times["alone"])
            print(f"pair {pair}: alone {times['alone']:.2f} s, studio {times['studio']:.2f} s, ratio {ratios[-1]:.3f}")
    print(f"median ratio {statistics.median(ratios):.3f} (aim 1.02)")


if __name__ == "__main__":
    main()
