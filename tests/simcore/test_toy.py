"""The 2-D toy from end to end (A.2)."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from simcore.config import EvaluationSpec, RunSpec, ScheduleSpec
from simcore.events import Evaluation, Finished, Log, Samples
from simcore.presets import find_preset
from simcore.resolve import resolve
from simcore.teacher_card import read_card
from tests.simcore.builders import run


def toy(teacher: str = "eight-gaussians", **changes: object) -> RunSpec:
    spec = find_preset("toy-2d").spec.model_copy(update={"teacher": f"bundled:{teacher}", "device": "cpu", **changes})
    return resolve(spec, read_card(spec.teacher))


def test_a_short_run_draws_scatter_plots_measures_and_resumes_bitwise(tmp_path: Path) -> None:
    spec = toy(
        "two-moons",
        iterations=4,
        batch_size=100,
        schedule=ScheduleSpec(samples_every=2, sample_count=50, checkpoint_every=2),
        evaluation=EvaluationSpec(every=0, samples=200, final_samples=200, teacher_steps=4),
    )
    events = run(spec, tmp_path / "whole")
    logs = [event.message for event in events if isinstance(event, Log)]
    assert logs[0].endswith("0.0% of ψ's (discrete_uniform), 0.0% of θ's (discrete_uniform).")
    samples = [event for event in events if isinstance(event, Samples)]
    assert [(event.source, event.step, event.count, event.columns) for event in samples] == [
        ("teacher", 0, 50, 0),
        *(("student", step, 50, 0) for step in (0, 2, 4)),
    ]
    assert {Image.open(tmp_path / "whole" / event.path).size for event in samples} == {(720, 720)}
    measured = [(event.source, set(event.values)) for event in events if isinstance(event, Evaluation)]
    assert measured == [(who, {"sliced_wasserstein", "precision"}) for who in ("student", "teacher", "student")]
    name = "checkpoints/step-000004.safetensors"
    run(spec, tmp_path / "resumed", resume=tmp_path / "whole/checkpoints/step-000002.safetensors")
    assert (tmp_path / "resumed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_the_student_comes_near_the_teacher_and_keeps_all_eight_modes(tmp_path: Path) -> None:
    spec = toy(
        iterations=200,
        batch_size=500,
        schedule=ScheduleSpec(samples_every=200, sample_count=100, checkpoint_every=200),
        evaluation=EvaluationSpec(every=0, samples=16_000, final_samples=16_000),
    )
    events = run(spec, tmp_path)
    assert isinstance(events[-1], Finished)
    summary = events[-1].summary
    assert summary["student_modes"] == summary["teacher_modes"] == 8
    assert summary["student_sliced_wasserstein"] <= 5 * summary["teacher_sliced_wasserstein"]
    assert summary["student_sliced_wasserstein"] <= summary["initial_sliced_wasserstein"] / 4
