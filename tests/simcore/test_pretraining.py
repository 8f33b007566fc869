"""A teacher's training: its events, requests to it, resuming, the teacher's folder, and data that do not suit it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from simcore.checkpoint import CheckpointError, read_checkpoint
from simcore.config import ComputeSpec, OptimizerSpec, ScheduleSpec, SpecError, parse_as
from simcore.datasets import DatasetError, load_dataset
from simcore.events import Checkpoint, Evaluation, Event, Finished, Metrics, Samples, Started, Stopped
from simcore.pretrain_config import (
    NetworkSpec,
    PointNetworkSpec,
    PretrainEvaluationSpec,
    PretrainSpec,
    denoiser_config,
    parameters_of,
    standard_spec,
)
from simcore.pretraining import Pretraining
from simcore.resolve import resolve_pretraining
from simcore.teacher_card import TeacherCard, TeacherError
from simcore.teachers import build_denoiser, load_teacher
from simcore.updates import TrainingError
from tests.simcore.builders import run_pretraining, small_pretraining
from tests.simcore.datasets.files import as_python, cifar_batches, named, png, random_pixels, write_folder, write_tar


def of(kind: type, events: list[Event]) -> list:  # type: ignore[type-arg]
    return [event for event in events if isinstance(event, kind)]


def losses(events: list[Event]) -> list[float]:
    return [event.values["denoiser_loss"] for event in of(Metrics, events)]


def card_of(events: list[Event]) -> TeacherCard:
    assert isinstance(events[-1], Finished)
    return TeacherCard.model_validate(events[-1].summary["card"])


def checkpoint(folder: Path, step: int) -> Path:
    return folder / f"checkpoints/step-{step:06d}.safetensors"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    folder = tmp_path_factory.mktemp("run")
    return folder, run_pretraining(small_pretraining(), folder)


def test_a_training_reports_what_it_does_and_ends_with_the_teachers_card(finished: tuple[Path, list[Event]]) -> None:
    folder, events = finished
    assert events[0] == Started(step=0, total_steps=6, device="cpu")
    assert [event.step for event in of(Metrics, events)] == [1, 2, 3, 4, 5, 6]
    assert {name for event in of(Metrics, events) for name in event.values} == {
        "denoiser_loss", "denoiser_grad_norm", "seconds_per_iteration",
    }  # fmt: skip
    assert [(event.step, event.source, event.nfe) for event in of(Samples, events)] == [
        (step, "student", 3) for step in (0, 3, 6)
    ]
    assert [event.step for event in of(Checkpoint, events)] == [3, 6]
    evaluations = of(Evaluation, events)
    assert [(event.step, event.source) for event in evaluations] == [(2, "student"), (4, "student"), (6, "student")]
    card = card_of(events)
    assert card.evaluation is not None
    assert (card.evaluation.values, card.evaluation.steps) == (evaluations[-1].values, 2)
    loaded, denoiser = load_teacher(str(folder / "teacher"))
    assert loaded == card
    average = read_checkpoint(checkpoint(folder, 6)).part("ema")
    assert all(torch.equal(value, average[name]) for name, value in denoiser.state_dict().items())


def test_resuming_is_bitwise_the_training_that_never_stopped(
    finished: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    resumed = run_pretraining(small_pretraining(), tmp_path, resume=checkpoint(finished[0], 3))
    assert resumed[0] == Started(step=3, resumed=True, total_steps=6, device="cpu")
    assert losses(resumed) == losses(finished[1])[3:]
    assert checkpoint(tmp_path, 6).read_bytes() == checkpoint(finished[0], 6).read_bytes()
    assert card_of(resumed).sha256 == card_of(finished[1]).sha256


def test_a_folder_with_another_teacher_is_refused_before_training(finished: tuple[Path, list[Event]]) -> None:
    before = (finished[0] / "teacher" / "teacher.safetensors").read_bytes()
    with pytest.raises(TeacherError, match="teacher already holds a teacher; choose another folder"):
        run_pretraining(small_pretraining(seed=1), finished[0])
    assert (finished[0] / "teacher" / "teacher.safetensors").read_bytes() == before


def test_a_run_that_was_killed_after_writing_its_teacher_ends_by_writing_it_again(
    finished: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    resumed = run_pretraining(small_pretraining(), finished[0], resume=checkpoint(finished[0], 6))
    assert card_of(resumed) == card_of(finished[1])
    other = run_pretraining(small_pretraining(seed=1), tmp_path, ["checkpoint", None, "cancel"])
    assert other[-1] == Stopped(step=2, reason="cancel")
    (tmp_path / "teacher").symlink_to(finished[0] / "teacher")
    with pytest.raises(TeacherError, match="already holds a teacher"):
        run_pretraining(small_pretraining(seed=1), tmp_path, resume=checkpoint(tmp_path, 1))


def test_pause_writes_a_checkpoint_and_cancel_none(finished: tuple[Path, list[Event]], tmp_path: Path) -> None:
    paused = run_pretraining(small_pretraining(), tmp_path / "a", [None, None, "pause"])
    assert [event.type for event in paused[-2:]] == ["checkpoint", "stopped"]
    assert not (tmp_path / "a" / "teacher").exists()
    step = paused[-1].step  # type: ignore[union-attr]
    assert 0 < step < 6
    resumed = run_pretraining(small_pretraining(), tmp_path / "b", resume=checkpoint(tmp_path / "a", step))
    assert card_of(resumed).sha256 == card_of(finished[1]).sha256
    cancelled = run_pretraining(small_pretraining(), tmp_path / "c", ["checkpoint", "cancel"])
    assert cancelled[-1] == Stopped(step=1, reason="cancel")
    assert not of(Checkpoint, cancelled)


def test_a_wanted_checkpoint_is_written_at_once(tmp_path: Path) -> None:
    events = run_pretraining(small_pretraining(), tmp_path, ["checkpoint"])
    assert [event.step for event in of(Checkpoint, events)] == [1, 3, 6]


def test_neither_evaluation_nor_another_program_using_torchs_randomness_disturbs_the_training(
    finished: tuple[Path, list[Event]],
) -> None:
    run = Pretraining(small_pretraining(), load_dataset("digits"))
    found = []
    for _ in range(6):
        torch.rand(3)
        found.append(run.advance()["denoiser_loss"])
    assert found == losses(finished[1])


def test_checkpoints_of_another_training_or_of_a_changed_data_set_are_refused(
    finished: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    kept = checkpoint(finished[0], 3)
    for change in ({"seed": 1}, {"iterations": 7}):  # the learning rate depends on the number of iterations
        with pytest.raises(CheckpointError, match="belongs to a run with another specification"):
            run_pretraining(small_pretraining(**change), tmp_path, resume=kept)
    images = tmp_path / "images"
    spec = small_pretraining(dataset=str(write_folder(images, named(random_pixels(20)))), conditional=False)
    run_pretraining(spec, tmp_path / "run")
    write_folder(images, named(random_pixels(30)))
    with pytest.raises(CheckpointError, match="data set has changed: the checkpoint's has 16 training images"):
        run_pretraining(spec, tmp_path / "again", resume=checkpoint(tmp_path / "run", 3))


def test_a_diverging_training_fails_and_leaves_no_teacher(tmp_path: Path) -> None:
    wild = OptimizerSpec(learning_rate=1, beta2=0, epsilon=1e-30)
    quiet = PretrainEvaluationSpec(every=0)
    schedule = ScheduleSpec(samples_every=1000, sample_count=1, checkpoint_every=1000)
    spec = small_pretraining(iterations=300, optimizer=wild, evaluation=quiet, schedule=schedule)
    with pytest.raises(TrainingError, match=r"(loss|gradient|weights) is not finite in iteration \d+"):
        run_pretraining(spec, tmp_path)
    assert not (tmp_path / "teacher").exists()


def test_parts_checkpointing_and_bf16_train_as_the_whole_batch_does(finished: tuple[Path, list[Event]]) -> None:
    whole = losses(finished[1])
    for compute, tolerance in (({"gradient_checkpointing": True}, 1e-5), ({"precision": "bf16"}, 0.1)):
        run = Pretraining(small_pretraining(performance=ComputeSpec.model_validate(compute)), load_dataset("digits"))
        assert [run.advance()["denoiser_loss"] for _ in range(6)] == pytest.approx(whole, rel=tolerance)
    runs = [
        Pretraining(small_pretraining(dropout=0, performance=ComputeSpec(accumulation=parts)), load_dataset("digits"))
        for parts in (1, 4)
    ]
    first, second = ([run.advance()["denoiser_loss"] for _ in range(3)] for run in runs)
    assert first == pytest.approx(second, rel=1e-4)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    adam = standard_spec("digits").optimizer.model_copy(update={"warm_up": 5})
    run = Pretraining(small_pretraining(iterations=60, batch_size=32, optimizer=adam), load_dataset("digits"))
    found = [run.advance()["denoiser_loss"] for _ in range(60)]
    assert sum(found[-10:]) < 0.7 * sum(found[:10])


def test_a_teacher_of_points_is_trained_by_the_noise_and_written_with_its_steps(tmp_path: Path) -> None:
    spec = standard_spec("two-moons").model_copy(
        update={"iterations": 100, "evaluation": PretrainEvaluationSpec(every=0, final_samples=500)}
    )
    events = run_pretraining(resolve_pretraining(spec), tmp_path)
    found, card = losses(events), card_of(events)
    assert found[0] == pytest.approx(2, abs=0.5)  # of two coordinates of unit variance
    assert sum(found[-10:]) < 0.8 * sum(found[:10])
    assert (card.image_shape, card.label_dim, card.config["steps"]) == ((2, 1, 1), 0, 1000)
    assert card.evaluation is not None
    assert "sliced_wasserstein" in card.evaluation.values
    assert "Sliced Wasserstein" in (tmp_path / "teacher" / "README.md").read_text()


SHORT = {"iterations": 2, "conditional": False}


def test_a_teacher_trains_on_cifars_archive_and_its_card_names_the_data(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "cifar-10-python.tar.gz", as_python(cifar_batches(5)))
    events = run_pretraining(small_pretraining(dataset=str(path), iterations=2), tmp_path)
    card = card_of(events)
    assert (card.image_shape, card.label_dim, card.evaluation) == ((3, 32, 32), 10, None)
    assert (card.name, card.title, card.dataset) == ("cifar10", "Cifar10, 32×32", str(path))
    assert card.licence == "not stated; it depends on the data"
    readme = (tmp_path / "teacher" / "README.md").read_text()
    assert "Data: CIFAR-10 (A. Krizhevsky, V. Nair, G. Hinton)" in readme
    assert "The held-out images (17 %) were never seen." in readme
    assert not of(Evaluation, events)


def test_a_folder_trains_alike_whether_it_fits_into_memory_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = small_pretraining(dataset=str(write_folder(tmp_path / "images", named(random_pixels(20)))), **SHORT)
    decoded = losses(run_pretraining(spec, tmp_path / "a"))
    monkeypatch.setattr("simcore.pretraining.for_training", lambda images: images)
    assert losses(run_pretraining(spec, tmp_path / "b")) == decoded


@pytest.mark.parametrize(
    ("shape", "change", "field", "message"),
    [
        ((1, 4, 8), {}, "dataset", "takes square images; those of data set 'images' are 8×4"),
        ((1, 7, 7), {}, "network.channel_mult", "images of 7×7 pixels cannot be halved 1 times"),
        ((1, 8, 8), {"conditional": True}, "conditional", "data set 'images' has no labels: train without them"),
        (
            (1, 1, 1),
            {"network": PointNetworkSpec(), "dropout": 0},
            "network.model_type",
            "holds images, which take a CompactUNet",
        ),
        ((1, 8, 8), {"network": NetworkSpec(model_channels=136)}, "network.model_channels", "136 channels do not"),
    ],
)
def test_data_that_do_not_suit_the_network_are_refused(
    shape: tuple[int, int, int], change: dict[str, object], field: str, message: str, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "images", named(random_pixels(5, shape)))
    with pytest.raises(SpecError, match=message) as refusal:
        run_pretraining(small_pretraining(dataset=str(folder), **(SHORT | change)), tmp_path / "run")
    assert list(refusal.value.problems) == [field]


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"dropout": 0.1}, "dropout", r"the network of points has none: set 0 \(given: 0.1\)"),
        ({"performance": ComputeSpec(gradient_checkpointing=True)}, "performance.gradient_checkpointing", "no blocks"),
        ({"network": NetworkSpec(channel_mult=(1,))}, "network.model_type", "holds points, which take a PointMLP"),
    ],
)
def test_settings_that_do_nothing_on_points_are_refused(
    change: dict[str, object], field: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=message) as refusal:
        run_pretraining(resolve_pretraining(standard_spec("two-moons").model_copy(update=change)), tmp_path)
    assert list(refusal.value.problems) == [field]


def test_unknown_data_mixed_sizes_and_damaged_images_are_told_before_training_starts(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="unknown data set 'none'"):
        run_pretraining(small_pretraining(dataset="none"), tmp_path)
    several = {"a.png": png(random_pixels(1)[0]), "b.png": png(random_pixels(1, (3, 4, 4))[0])}
    with pytest.raises(DatasetError, match=r"b\.png"):
        run_pretraining(small_pretraining(dataset=str(write_folder(tmp_path / "mixed", several))), tmp_path / "run")
    files = named(random_pixels(20))
    damaged = write_folder(tmp_path / "damaged", {name: content[:-40] for name, content in files.items()})
    with pytest.raises(DatasetError, match=r"cannot read '.*\.png': it is damaged or cut short"):
        run_pretraining(small_pretraining(dataset=str(damaged), **SHORT), tmp_path / "run")


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("performance", {"accumulation": 3}, "accumulation = 3 has to divide the batch size, 128"),
        ("network", {"model_type": "CompactUNet", "channel_mult": "1, x"}, "valid integer"),
        ("network", {"model_type": "CompactUNet", "channel_mult": [0]}, "greater than or equal to 1"),
    ],
)
def test_wrong_settings_are_told(setting: str, value: object, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_as(PretrainSpec, {setting: value})


@pytest.mark.parametrize(
    "network",
    [
        NetworkSpec(),
        NetworkSpec(model_channels=8, channel_mult=(1, 2, 4), num_blocks=2),
        NetworkSpec(model_channels=16, channel_mult=(2,), attention=False),
        NetworkSpec(model_channels=160, channel_mult=(1, 1), num_blocks=3),
    ],
)
@pytest.mark.parametrize("classes", [0, 10])
def test_the_number_of_parameters_is_known_without_the_network(network: NetworkSpec, classes: int) -> None:
    config = denoiser_config(PretrainSpec(network=network, conditional=classes > 0), (3, 16, 16), classes)
    assert parameters_of(config) == sum(p.numel() for p in build_denoiser(config).parameters())
