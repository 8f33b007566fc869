"""The command line, as its users see it: real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simcore.events import Event, Failed, Finished, Metrics, Stopped, parse_event
from tests.simcore.builders import small_spec
from tests.simcore.datasets.files import png, random_pixels, write_folder

SMALL = ["--set", "evaluation.final_samples=100", "--set", "evaluation.teacher_steps=2", "--set", "threads=1"]
DEMO = ["distill", "--preset", "digits-demo", "--set", "batch_size=8", *SMALL]


def simcore(*arguments: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "simcore", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "simcore", *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(process: subprocess.Popen[str], kind: type) -> Event:
    """Read the process's events up to the first of a kind."""
    assert process.stdout is not None
    for line in process.stdout:
        event = parse_event(line)
        if isinstance(event, kind):
            return event
    raise AssertionError(f"no {kind.__name__} event")


def steps(run_dir: Path) -> list[int]:
    events = [parse_event(line) for line in (run_dir / "events.jsonl").read_text().splitlines()]
    return [event.step for event in events if isinstance(event, Metrics)]


def wait_for_step(run_dir: Path, step: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (run_dir / "events.jsonl").exists() and f'"metrics","step":{step},' in (
            run_dir / "events.jsonl"
        ).read_text():
            return
        time.sleep(0.02)
    raise AssertionError(f"step {step} was not reached")


def last_checkpoint(run_dir: Path) -> bytes:
    return (run_dir / "checkpoints" / "step-000020.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A demo of 20 iterations that nothing interrupted."""
    folder = tmp_path_factory.mktemp("cli") / "whole"
    return folder, simcore(*DEMO, "--iterations", 20, "--set", "schedule.checkpoint_every=5", "--out", folder)


def test_a_run_leaves_a_folder_that_explains_itself_and_prints_a_summary(
    whole: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = whole
    assert done.returncode == 0, done.stderr
    assert {"spec.json", "events.jsonl", "samples", "checkpoints"} <= {path.name for path in folder.iterdir()}
    summary = json.loads(done.stdout.splitlines()[-1])
    names = {"student_frechet", "teacher_frechet", "initial_frechet", "student_frechet_heldout"}
    names |= {"teacher_frechet_heldout", "student_accuracy", "teacher_accuracy", "iterations", "seconds"}
    assert names <= set(summary)
    assert steps(folder) == list(range(1, 21))
    assert "20/20" in done.stderr


def test_the_same_command_on_a_finished_run_only_prints_its_summary(
    whole: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = whole
    before = (folder / "events.jsonl").read_bytes()
    again = simcore(*DEMO, "--iterations", 20, "--set", "schedule.checkpoint_every=5", "--out", folder)
    assert again.stdout == done.stdout.splitlines(keepends=True)[-1]
    assert (folder / "events.jsonl").read_bytes() == before


def test_other_settings_for_an_existing_folder_are_refused_by_name(
    whole: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    arguments = ("--iterations", 21, "--set", "schedule.checkpoint_every=5", "--set", "generator.init_sigma=2")
    other = simcore(*DEMO, *arguments, "--out", whole[0])
    assert other.returncode == 2
    assert "(iterations, generator.init_sigma)" in other.stderr


def test_a_killed_run_resumes_by_the_same_command_to_the_same_bytes(
    whole: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """Killed between checkpoints; then its newest checkpoint is truncated, so that the one before is used."""
    folder = tmp_path / "killed"
    command = (*DEMO, "--iterations", 20, "--set", "schedule.checkpoint_every=5", "--out", folder)
    process = start(*command)
    wait_for_step(folder, 12)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    newest = max((folder / "checkpoints").glob("*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:1000])
    done = simcore(*command)
    assert done.returncode == 0, done.stderr
    assert f"warning: {newest} is truncated" in done.stderr
    assert "Traceback" not in done.stderr
    assert steps(folder) == list(range(1, 21))
    assert last_checkpoint(folder) == last_checkpoint(whole[0])


def test_ctrl_c_pauses_and_the_same_command_goes_on(
    whole: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder = tmp_path / "interrupted"
    command = (*DEMO, "--iterations", 20, "--set", "schedule.checkpoint_every=5", "--out", folder)
    process = start(*command)
    wait_for_step(folder, 3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 0
    assert "the same command goes on from there" in errors
    assert simcore(*command).returncode == 0
    assert steps(folder) == list(range(1, 21))
    assert last_checkpoint(folder) == last_checkpoint(whole[0])


def test_pipe_mode_speaks_events_obeys_requests_and_ignores_ctrl_c(tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(small_spec(iterations=10_000).model_dump_json())
    process = start("distill", "--spec", spec, "--out", tmp_path / "a", "--pipe")
    assert process.stdin is not None
    until(process, Metrics)
    process.send_signal(signal.SIGINT)
    process.stdin.write("nonsense\npause\n")
    process.stdin.flush()
    stopped = until(process, Stopped)
    assert isinstance(stopped, Stopped)
    rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest) == (0, "")
    assert "unknown request 'nonsense' ignored" in errors
    resume = tmp_path / f"a/checkpoints/step-{stopped.step:06d}.safetensors"

    spec.write_text(small_spec(iterations=stopped.step + 2).model_dump_json())
    process = start("distill", "--spec", spec, "--out", tmp_path / "b", "--pipe", "--resume", resume)
    assert getattr(until(process, Metrics), "step", None) == stopped.step + 1
    finished = until(process, Finished)
    assert isinstance(finished, Finished)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert finished.summary["iterations"] == stopped.step + 2
    assert {path.name for path in tmp_path.iterdir()} == {"spec.json", "a", "b"}


def test_a_closed_control_pipe_ends_the_process_at_once(tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(small_spec(iterations=10_000, batch_size=256).model_dump_json())
    process = start("distill", "--spec", spec, "--out", tmp_path / "a", "--pipe")
    until(process, Metrics)
    assert process.stdin is not None
    began = time.monotonic()
    process.stdin.close()
    assert process.wait(timeout=10) == 3
    assert time.monotonic() - began < 2


def test_pipe_mode_tells_a_failure_as_an_event(tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(small_spec().model_copy(update={"teacher": "bundled:none"}).model_dump_json())
    process = start("distill", "--spec", spec, "--out", tmp_path / "a", "--pipe")
    failed = until(process, Failed)
    assert isinstance(failed, Failed)
    assert "no teacher 'bundled:none'" in failed.reason
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["distill", "--preset", "nope", "--out", "X"], "error: unknown preset 'nope'; known presets: cifar10"),
        (
            [*DEMO, "--out", "X", "--set", "batch_size=0"],
            "error: batch_size: Input should be greater than or equal to 1",
        ),
        ([*DEMO, "--out", "X", "--set", "batchsize=8"], "error: batchsize: no such setting; known here: teacher"),
        ([*DEMO, "--out", "X", "--set", "teacher=bundled:x"], "error: no teacher 'bundled:x'"),
        ([*DEMO, "--out", "/proc/simcore"], "error: "),
        (["distill", "--spec", "/none.json", "--out", "X"], "error: No such file or directory: /none.json"),
        (["pretrain", "--dataset", "cifar", "--out", "X"], "error: unknown data set 'cifar'"),
        (["sample", "--checkpoint", "/none.safetensors", "--out", "x.png"], "error: cannot read the checkpoint"),
        (["evaluate", "--checkpoint", "bundled:none"], "error: no teacher 'bundled:none'"),
    ],
)
def test_bad_input_is_told_in_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.getenv("PYTHONPATH")]))
    )
    done = simcore(*arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(message)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "X" / "events.jsonl").exists()


def test_a_disk_that_fills_up_is_told_and_older_checkpoints_stay(tmp_path: Path) -> None:
    """A file size limit stands for a full disk: it lets events through, but no checkpoint."""
    program = (
        "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000));"
        "runpy.run_module('simcore', run_name='__main__')"
    )
    command = [sys.executable, "-c", program, *DEMO, "--iterations", "2", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "error: cannot write the checkpoint" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_diverging_run_is_told_with_its_iteration(tmp_path: Path) -> None:
    steps = ("learning_rate=1", "beta2=0", "epsilon=1e-30")
    wild = [word for step in steps for word in ("--set", f"denoiser_optimizer.{step}")]
    done = simcore(*DEMO, "--iterations", 400, *wild, "--out", tmp_path)
    assert done.returncode == 2
    assert re.search(r"error: the .* is not finite in iteration \d+", done.stderr)
    assert "Traceback" not in done.stderr
    last = parse_event((tmp_path / "events.jsonl").read_text().splitlines()[-1])
    assert last.type == "failed"


def test_a_student_and_a_teacher_can_be_sampled_and_measured(
    whole: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    checkpoint = max((whole[0] / "checkpoints").glob("*.safetensors"))
    pictures = []
    for source, seed in ((checkpoint, 0), (checkpoint, 1), ("bundled:digits", 0)):
        out = tmp_path / "grid.png"
        done = simcore("sample", "--checkpoint", source, "--count", 64, "--seed", seed, "--out", out)
        assert done.returncode == 0, done.stderr
        pictures.append(out.read_bytes())
    assert len(set(pictures)) == 3
    measured = json.loads(simcore("evaluate", "--checkpoint", checkpoint, "--samples", 200).stdout)
    assert set(measured) == {"frechet", "frechet_heldout", "accuracy", "samples", "nfe"}
    assert measured["nfe"] == 1


def test_an_extractor_and_a_teacher_of_ones_own_images_can_be_trained_and_measured(tmp_path: Path) -> None:
    pixels = random_pixels(40, (1, 8, 8))
    images = write_folder(tmp_path / "images", {f"{'ab'[i % 2]}/{i}.png": png(pixels[i]) for i in range(40)})
    small = ("--set", "network.model_channels=8", "--set", "batch_size=8", "--iterations", 2)
    trained = simcore("pretrain", "--dataset", images, "--out", tmp_path / "teacher", *small)
    assert trained.returncode == 0, trained.stderr
    assert "images: 32 training and 8 held-out images, 1×8×8, 2 classes (a, b)" in trained.stderr
    extractor = tmp_path / "extractor"
    classified = simcore("train-classifier", "--dataset", images, "--iterations", 2, "--out", extractor)
    assert json.loads(classified.stdout)["classes"] == 2
    measured = simcore("evaluate", "--checkpoint", tmp_path / "teacher", "--samples", 100, "--extractor", extractor)
    assert set(json.loads(measured.stdout)) == {"frechet", "frechet_heldout", "accuracy", "samples", "nfe"}
