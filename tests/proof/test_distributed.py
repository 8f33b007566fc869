"""Two gloo processes against one process with the joined batch, and `distill` starting them by itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from simcore import distributed
from simcore.config import PerformanceSpec, RunSpec
from simcore.distances import DistanceOverflow
from simcore.distillation import Distillation
from simcore.distributed import World, joined_world
from simcore.events import Metrics
from simcore.teachers import load_teacher
from simcore.updates import TrainingError
from tests.simcore.builders import run, small_spec

SMALL = [
    *("iterations=12", "batch_size=8", "threads=1", "device=cpu", "performance.devices=2"),
    *("schedule.samples_every=100", "schedule.sample_count=10", "schedule.checkpoint_every=2"),
    *("evaluation.every=0", "evaluation.samples=100", "evaluation.final_samples=100", "evaluation.teacher_steps=2"),
]


def distill_command(out: Path, *settings: str) -> list[str]:
    sets = [part for setting in (*SMALL, *settings) for part in ("--set", setting)]
    return [sys.executable, "-m", "simcore", "distill", "--preset", "digits-demo", "--out", str(out), *sets]


def events(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulated": {"accumulation": 3, "gradient_checkpointing": True},
    "shared": {"share_samples": True},
}


def gradients(spec: RunSpec, world: World) -> dict[str, torch.Tensor]:
    """Of one iteration, of both networks."""
    distillation = Distillation(spec, *load_teacher(spec.teacher), world)
    distillation.advance()
    return {
        f"{trainee.name}.{name}": parameter.grad
        for trainee in (distillation.student, distillation.denoiser)
        for name, parameter in trainee.network.named_parameters()
        if parameter.grad is not None
    }


def variant(name: str, devices: int) -> RunSpec:
    performance = VARIANTS[name] | {"devices": devices}
    return small_spec(batch_size=12, performance=PerformanceSpec.model_validate(performance))


def save_gradients(folder: Path) -> None:
    """What each of the two processes runs."""
    torch.set_num_threads(1)
    with joined_world(variant("plain", 2)) as world:
        for name in VARIANTS:
            save_file(gradients(variant(name, 2), world), folder / f"{name}-{world.rank}.safetensors")
        (folder / f"overflow-{world.rank}.txt").write_text(overflow_in_the_second(variant("plain", 2), world))


def overflow_in_the_second(spec: RunSpec, world: World) -> str:
    """What an iteration says whose distance overflows in the second process only."""
    spec = spec.model_copy(update={"objective": spec.objective.model_copy(update={"distance": "exp_power"})})
    distillation = Distillation(spec, *load_teacher(spec.teacher), world)
    objective = distillation._student_loss

    def overflowing(*given: Any) -> torch.Tensor:
        if world.rank:
            raise DistanceOverflow("its exponent is too large")
        return objective(*given)

    distillation._student_loss = overflowing
    try:
        distillation.advance()
    except TrainingError as error:
        return str(error)
    return "nothing"


@pytest.fixture(scope="module")
def of_two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gradients")
    script = folder / "save.py"
    script.write_text(
        f"from pathlib import Path\nfrom {__name__} import save_gradients\nsave_gradients(Path({str(folder)!r}))\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}
    subprocess.run(command, check=True, env=environment, timeout=250)
    return folder


@pytest.mark.parametrize("name", VARIANTS)
def test_two_processes_have_the_gradients_of_one_with_the_joined_batch(of_two_processes: Path, name: str) -> None:
    first, second = (load_file(of_two_processes / f"{name}-{rank}.safetensors") for rank in range(2))
    alone = gradients(variant(name, 1), World())
    assert first.keys() == alone.keys()
    for parameter, expected in alone.items():
        assert torch.equal(first[parameter], second[parameter])
        tolerance = 1e-4 * float(expected.abs().max())
        torch.testing.assert_close(first[parameter], expected, rtol=1e-3, atol=tolerance)


def test_an_overflow_in_one_process_stops_all_with_its_reason(of_two_processes: Path) -> None:
    first, second = ((of_two_processes / f"overflow-{rank}.txt").read_text() for rank in range(2))
    assert "the distance is not finite in iteration 1; it overflowed in another process" in first
    assert "in iteration 1; its exponent is too large; a smaller objective.exp_beta helps" in second


def test_a_process_that_does_not_come_is_told_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # torchrun's part
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": store.port}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    monkeypatch.setattr(distributed, "_MEETING", timedelta(seconds=0.5))
    with pytest.raises(RuntimeError, match=r"not all of the run's 2 processes have come within 0:00:00\.5"):
        distributed._meet(World(0, 2, 0))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two processes."""
    out = tmp_path_factory.mktemp("whole") / "run"
    done = subprocess.run(distill_command(out), capture_output=True, text=True, timeout=250, check=True)
    assert json.loads(done.stdout)["iterations"] == 12
    return out


def test_distill_starts_its_processes_and_one_of_them_reports(whole: Path, tmp_path: Path) -> None:
    found = events(whole)
    assert [event["step"] for event in found if event["type"] == "metrics"] == list(range(1, 13))
    assert [event["type"] for event in found].count("finished") == 1
    spec = RunSpec.model_validate_json((whole / "spec.json").read_bytes())
    alone = run(spec.model_copy(update={"performance": small_spec().performance}), tmp_path)
    losses = {event["step"]: event["values"]["student_loss"] for event in found if event["type"] == "metrics"}
    expected = {event.step: event.values["student_loss"] for event in alone if isinstance(event, Metrics)}
    assert losses == pytest.approx(expected, rel=0.02, abs=0.01)


def test_torchrun_by_hand_on_a_finished_run_only_prints_its_summary(whole: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*torchrun, *distill_command(whole)[1:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout)["iterations"] == 12


def test_several_processes_resume_bitwise_from_a_pause_by_ctrl_c(whole: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    process = subprocess.Popen(distill_command(cut), start_new_session=True, stderr=subprocess.DEVNULL)
    while not (cut / "events.jsonl").is_file() or not any(e["type"] == "metrics" for e in events(cut)):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    process.wait(60)
    stopped = events(cut)[-1]
    assert stopped["type"] == "stopped"
    assert stopped["step"] < 12
    subprocess.run(distill_command(cut), check=True, capture_output=True, timeout=250)
    name = "checkpoints/step-000012.safetensors"
    assert (cut / name).read_bytes() == (whole / name).read_bytes()


def test_every_process_ends_when_the_pipe_closes(tmp_path: Path) -> None:
    command = [*distill_command(tmp_path / "run", "iterations=100000"), "--pipe"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    assert process.stdin
    assert process.stdout
    while b'"metrics"' not in process.stdout.readline():
        assert process.poll() is None
    process.stdin.close()
    process.wait(30)
    deadline = time.monotonic() + 10
    while group_lives(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_another_number_of_processes_than_the_spec_s_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "3", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(ValueError, match=r"performance.devices is 1, but torchrun started 3"),
        joined_world(small_spec()),
    ):
        pass
