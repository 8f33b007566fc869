"""How long an event takes from the trainer to 200 sockets, and whether any is lost.

The path is the real one: a trainer process writes event lines into its pipe at 50 a second; a worker reads, stores and
publishes them; a web server passes them on to 200 WebSockets, opened by one client process. Each event carries the
time at which the trainer wrote it; all processes read one clock. Prints p50, p95 and p99 over all deliveries, and how
many are missing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import websockets

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # started by its path, it finds the other tests' tools

from studio.common.supervisor import Program
from studio.environment import PROJECT
from tests.stack import Stack, Visitor, wait_for

AIM_SECONDS = 0.25

# Started by a worker's own code in the place of `python -m simcore`, with its arguments: the rate and the seconds.
TRAINER = """
import sys, time
from simcore.events import Finished, Metrics, Started, event_line

rate, seconds = float(sys.argv[1]), float(sys.argv[2])
count = int(rate * seconds)

def say(event):
    sys.stdout.write(event_line(event) + "\\n")
    sys.stdout.flush()

say(Started(step=0, total_steps=count, device="cpu"))
time.sleep(5)
began = time.monotonic()
for number in range(1, count + 1):
    time.sleep(max(0.0, began + number / rate - time.monotonic()))
    say(Metrics(step=number, values={"sent_at": time.time()}))
say(Finished(step=count, summary={}))
"""

# A worker's loop for one job.
WORKER = """
import sys, threading
from pathlib import Path
from studio.jobs.services import job_claim
from studio.pool.services import worker_announce
from workers.attempt import Attempt, attempt_folder
from workers.devices import read_devices
from workers.trainer_process import TrainerProcess

worker_announce(name="bench", queues=["runs"], devices=read_devices("bench", ()).found)
job = job_claim(queue="runs", worker="bench")
folder = attempt_folder(job)
folder.mkdir(parents=True)
stderr = folder / "stderr.log"
with TrainerProcess({arguments!r}, stderr, program=(sys.executable, "-c", {trainer!r})) as trainer:
    Attempt(job.pk, job.lease_token, trainer, stderr, threading.Event()).follow()
"""


class Watcher:
    """One socket: when each event came, by its number."""

    def __init__(self) -> None:
        self.arrivals: dict[int, tuple[float, float]] = {}

    async def watch(self, url: str, headers: dict[str, str], ready: asyncio.Semaphore) -> None:
        async with websockets.connect(url, additional_headers=headers, max_size=None) as socket:
            async for text in socket:
                now = time.time()
                message = json.loads(text)
                if message["type"] == "live":
                    ready.release()
                if self._note(message.get("events", []), now):
                    return

    def _note(self, events: list[dict[str, object]], now: float) -> bool:
        """Whether the run has ended."""
        ended = False
        for event in events:
            if event["type"] == "metrics":
                sent = float(event["values"]["sent_at"])  # type: ignore[index]
                self.arrivals[int(str(event["step"]))] = (sent, now)
            ended = ended or (event["type"] == "state" and event["to"] == "succeeded")
        return ended


async def watch_all(stack: Stack, visitor: Visitor, run: int, options: argparse.Namespace) -> list[Watcher]:
    """All watchers, connected before the trainer starts."""
    watchers = [Watcher() for _ in range(options.watchers)]
    headers = {"Cookie": visitor.cookie_header, "Origin": visitor.base}
    url = f"ws://127.0.0.1:{stack.port}/ws/runs/{run}/"
    ready = asyncio.Semaphore(0)
    tasks = []
    for watcher in watchers:
        tasks.append(asyncio.create_task(watcher.watch(url, headers, ready)))
        await ready.acquire()  # one after the other: connecting is not what is measured
    worker = start_worker(stack, options)
    try:
        await asyncio.wait_for(asyncio.gather(*tasks), options.seconds + 120)
    finally:
        worker.wait(60)
    return watchers


def start_worker(stack: Stack, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    code = WORKER.format(arguments=[str(options.rate), str(options.seconds)], trainer=TRAINER)
    command = [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", code]
    return subprocess.Popen(command, cwd=PROJECT, env={**os.environ, **stack.variables})


def cpu_seconds(program: Program) -> float:
    """What the process has used so far."""
    assert program.process is not None
    times = psutil.Process(program.process.pid).cpu_times()
    return float(times.user + times.system)


def report(watchers: list[Watcher], options: argparse.Namespace, web_seconds: float) -> None:
    expected = int(options.rate * options.seconds)
    deliveries = [pair for watcher in watchers for pair in watcher.arrivals.values()]
    latencies = np.array([came - sent for sent, came in deliveries])
    missing = sum(expected - len(watcher.arrivals) for watcher in watchers)
    p50, p95, p99 = (1000 * value for value in np.percentile(latencies, (50, 95, 99)))
    sent = sorted({sent for sent, _ in deliveries})
    print(f"{len(watchers)} watchers, {expected} events at {(len(sent) - 1) / (sent[-1] - sent[0]):.1f}/s")
    print(f"deliveries {len(latencies)}, missing {missing}; load average {os.getloadavg()[0]:.1f}")
    print(f"the web server used {web_seconds / options.seconds:.2f} of a core")
    print(f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms, slowest {1000 * latencies.max():.0f} ms")
    met = missing == 0 and p95 < 1000 * AIM_SECONDS
    print(f"aim: none missing, p95 under {1000 * AIM_SECONDS:.0f} ms: {'met' if met else 'NOT met'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watchers", type=int, default=200)
    parser.add_argument("--rate", type=float, default=50.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Stack(Path(name) / "data", lease_seconds=15) as stack:
        stack.port = stack.start_web()
        run = stack.launch({"iterations": int(options.rate * options.seconds)})
        web = stack.programs[-1]
        visitor = Visitor(stack.port)
        before = cpu_seconds(web)
        watchers = asyncio.run(watch_all(stack, visitor, run, options))
        web_seconds = cpu_seconds(web) - before
        wait_for(lambda: stack.job(run)["state"] == "succeeded", 10, "the run has ended")
    report(watchers, options, web_seconds)


if __name__ == "__main__":
    main()
