from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from simcore.checkpoint import CheckpointError, read_checkpoint
from simcore.config import EvaluationSpec, OptimizerSpec
from simcore.events import Checkpoint, Evaluation, Event, Finished, Metrics, Samples, Started, Stopped
from simcore.updates import TrainingError
from tests.simcore.builders import run, small_spec


def of(kind: type, events: list[Event]) -> list:  # type: ignore[type-arg]
    return [event for event in events if isinstance(event, kind)]


def checkpoint(folder: Path, step: int) -> Path:
    return folder / f"checkpoints/step-{step:06d}.safetensors"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    folder = tmp_path_factory.mktemp("run")
    return folder, run(small_spec(), folder)


def test_a_run_reports_every_iteration_once_and_ends_finished(finished: tuple[Path, list[Event]]) -> None:
    _, events = finished
    assert isinstance(events[0], Started)
    metrics = of(Metrics, events)
    assert [event.step for event in metrics] == [1, 2, 3, 4, 5, 6]
    names = {"student_loss", "denoiser_loss", "student_grad_norm", "denoiser_grad_norm", "seconds_per_iteration"}
    assert all(set(event.values) == names for event in metrics)
    assert isinstance(events[-1], Finished)


def test_samples_are_drawn_on_schedule_from_the_same_latents(finished: tuple[Path, list[Event]]) -> None:
    folder, events = finished
    samples = of(Samples, events)
    drawn = [(event.source, event.step, event.nfe) for event in samples]
    assert drawn == [("teacher", 0, 7), ("student", 0, 1), ("student", 3, 1), ("student", 6, 1)]
    sizes = {Image.open(folder / event.path).size for event in samples}
    assert sizes == {(10 * 34 - 2, 2 * 34 - 2)}
    pixels = [(folder / event.path).read_bytes() for event in samples]
    assert len(set(pixels)) == 4


def test_evaluations_cover_start_end_and_teacher(finished: tuple[Path, list[Event]]) -> None:
    _, events = finished
    assert [(event.source, event.step) for event in of(Evaluation, events)] == [
        ("student", 0),
        ("teacher", 0),
        ("student", 6),
    ]
    summary = events[-1].summary  # type: ignore[union-attr]
    for who in ("student", "teacher", "initial"):
        assert {f"{who}_frechet", f"{who}_frechet_heldout", f"{who}_accuracy"} <= set(summary)
    assert summary["iterations"] == 6
    assert summary["seconds"] > 0


def test_the_start_is_not_measured_where_another_run_did(tmp_path: Path, finished: tuple[Path, list[Event]]) -> None:
    settings = EvaluationSpec(every=0, samples=100, final_samples=100, teacher_steps=4, at_start=False)
    events = run(small_spec(evaluation=settings), tmp_path)
    assert of(Evaluation, events) == of(Evaluation, finished[1])[-1:]


def test_checkpoints_come_on_schedule_and_at_the_end_with_their_hash(finished: tuple[Path, list[Event]]) -> None:
    import hashlib

    folder, events = finished
    for event, step in zip(of(Checkpoint, events), (3, 6), strict=True):
        content = (folder / event.path).read_bytes()
        assert (event.step, event.size) == (step, len(content))
        assert event.sha256 == hashlib.sha256(content).hexdigest()


def test_resuming_is_bitwise_the_run_that_never_stopped(finished: tuple[Path, list[Event]], tmp_path: Path) -> None:
    whole, events = finished
    resumed = run(small_spec(), tmp_path, resume=checkpoint(whole, 3))
    assert [event.step for event in of(Metrics, resumed)] == [4, 5, 6]
    assert checkpoint(tmp_path, 6).read_bytes() == checkpoint(whole, 6).read_bytes()
    clock = json.loads(checkpoint(whole, 3).with_suffix(".clock.json").read_text())
    assert resumed[-1].summary["seconds"] > clock["seconds"] > 0  # type: ignore[union-attr]
    assert resumed[-1].summary["student_frechet"] == events[-1].summary["student_frechet"]  # type: ignore[union-attr]


def test_the_same_seed_repeats_and_evaluation_does_not_disturb(
    finished: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    evaluated = small_spec(evaluation=EvaluationSpec(every=1, samples=100, final_samples=100, teacher_steps=2))
    run(evaluated, tmp_path)
    first, second = read_checkpoint(checkpoint(finished[0], 6)), read_checkpoint(checkpoint(tmp_path, 6))
    assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)


def test_another_seed_gives_other_weights_and_curves(finished: tuple[Path, list[Event]], tmp_path: Path) -> None:
    other = run(small_spec(seed=1), tmp_path)
    losses = [[event.values["student_loss"] for event in of(Metrics, events)] for events in (finished[1], other)]
    assert all(a != b for a, b in zip(*losses, strict=True))
    first, second = read_checkpoint(checkpoint(finished[0], 6)), read_checkpoint(checkpoint(tmp_path, 6))
    same = [name for name, value in first.part("ema").items() if torch.equal(value, second.part("ema")[name])]
    assert same == []


def test_all_three_networks_start_from_the_teacher_and_only_two_move(finished: tuple[Path, list[Event]]) -> None:
    from simcore.teachers import load_teacher

    _, teacher = load_teacher("bundled:digits")
    stored = read_checkpoint(checkpoint(finished[0], 6))
    for part in ("student", "denoiser"):
        moves = [(value - teacher.state_dict()[name]).abs().max().item() for name, value in stored.part(part).items()]
        assert 0 < max(moves) < 6 * 3e-3  # Adam's step is about the learning rate, at β₁ = 0 up to 1/√(1−β₂) of it


def test_pause_writes_a_checkpoint_from_which_the_run_goes_on_identically(
    finished: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    paused = run(small_spec(), tmp_path / "a", requests=[None] * 6 + ["pause"])
    assert isinstance(paused[-1], Stopped)
    assert isinstance(paused[-2], Checkpoint)
    step = paused[-1].step
    assert (paused[-1].reason, paused[-2].step) == ("pause", step)
    assert 0 < step < 6
    resumed = run(small_spec(), tmp_path / "b", resume=checkpoint(tmp_path / "a", step))
    assert checkpoint(tmp_path / "b", 6).read_bytes() == checkpoint(finished[0], 6).read_bytes()
    drawn = [(event.source, event.step) for event in of(Samples, paused) + of(Samples, resumed)]
    assert drawn == [(event.source, event.step) for event in of(Samples, finished[1])]


def test_a_pause_during_the_first_evaluation_is_heeded_and_the_evaluation_made_up_for(tmp_path: Path) -> None:
    paused = run(small_spec(), tmp_path / "a", requests=["pause"])
    assert [event.type for event in paused[-2:]] == ["checkpoint", "stopped"]
    assert paused[-1].step == 0  # type: ignore[union-attr]
    resumed = run(small_spec(iterations=6), tmp_path / "b", resume=checkpoint(tmp_path / "a", 0))
    assert [(event.source, event.step) for event in of(Samples, resumed)][:1] == [("student", 3)]
    assert {"initial_frechet", "teacher_frechet"} <= set(resumed[-1].summary)  # type: ignore[union-attr]


def test_cancel_stops_without_a_checkpoint(tmp_path: Path) -> None:
    events = run(small_spec(), tmp_path, requests=[None] * 2 + ["cancel"])
    assert isinstance(events[-1], Stopped)
    assert events[-1].reason == "cancel"
    assert of(Checkpoint, events) == []


def test_a_wanted_checkpoint_is_written_and_training_goes_on(tmp_path: Path) -> None:
    events = run(small_spec(), tmp_path, requests=[None] * 5 + ["checkpoint"])
    steps = [event.step for event in of(Checkpoint, events)]
    assert len(steps) == 3
    assert steps[-1] == 6
    assert isinstance(events[-1], Finished)


def test_a_diverging_run_fails_naming_step_and_part_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    spec = small_spec(iterations=400, denoiser_optimizer=OptimizerSpec(learning_rate=1.0, beta2=0.0, epsilon=1e-30))
    with pytest.raises(TrainingError, match=r"(loss|gradient|weights) is not finite in iteration \d+") as failure:
        run(spec, tmp_path)
    assert failure.value.part in {"student loss", "denoiser loss", "student gradient", "denoiser gradient", "weights"}
    for path in (tmp_path / "checkpoints").glob("*.safetensors"):
        assert all(value.isfinite().all() for value in read_checkpoint(path).part("student").values())


def test_a_checkpoint_of_another_run_is_refused(finished: tuple[Path, list[Event]], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="another specification"):
        run(small_spec(seed=5), tmp_path, resume=checkpoint(finished[0], 3))
