"""What the options of performance, warm-up, clipping and dropout change of an update, and what they leave alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from simcore.checkpoint import read_checkpoint, write_checkpoint
from simcore.config import RunSpec, SpecError, parse_spec
from simcore.distillation import Distillation
from simcore.resolve import resolve
from simcore.teachers import load_teacher
from simcore.updates import TrainingError
from tests.simcore.builders import small_spec


def distillation(**changes: Any) -> Distillation:
    """A distillation of the bundled teacher; dotted names in `changes` written with double underscores."""
    plain = small_spec().model_dump()
    for name, value in changes.items():
        level = plain
        *parents, last = name.split("__")
        for parent in parents:
            level = level[parent]
        level[last] = value
    card, teacher = load_teacher(plain["teacher"])
    spec = RunSpec.model_validate(plain)
    if spec.performance.precision != "fp16":
        return Distillation(resolve(spec, card), card, teacher)
    # Refused on a CPU for its slowness; its arithmetic and its scaling can be had there all the same.
    run = Distillation(spec, card, teacher)
    set_scale(run, 2.0**7)
    return run


def set_scale(run: Distillation, scale: float) -> None:
    for trainee in (run.student, run.denoiser):
        trainee._scaler.load_state_dict(trainee.scaling() | {"scale": scale})


def gradients(run: Distillation) -> dict[str, Tensor]:
    """After one iteration, of both networks."""
    run.advance()
    return {
        f"{trainee.name}.{name}": parameter.grad.clone()
        for trainee in (run.student, run.denoiser)
        for name, parameter in trainee.network.named_parameters()
        if parameter.grad is not None
    }


def assert_alike(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    """Relative error of each network's whole gradient."""
    assert found.keys() == expected.keys()
    for network in ("student", "denoiser"):
        a, b = (torch.cat([v.flatten() for k, v in g.items() if k.startswith(network)]) for g in (found, expected))
        assert (a - b).norm() / b.norm() < tolerance


@pytest.fixture(scope="module")
def plain() -> dict[str, Tensor]:
    return gradients(distillation())


@pytest.mark.parametrize(
    ("changes", "tolerance"),
    [
        ({"performance__accumulation": 4}, 1e-4),
        ({"performance__gradient_checkpointing": True}, 1e-6),
        ({"performance__channels_last": "on"}, 1e-4),
        ({"performance__precision": "bf16"}, 0.1),
        ({"performance__precision": "fp16"}, 0.02),
        ({"student_optimizer__warm_up": 10}, 1e-9),
    ],
)
def test_an_option_of_speed_or_memory_leaves_the_gradients_alike(
    plain: dict[str, Tensor], changes: dict[str, Any], tolerance: float
) -> None:
    assert_alike(gradients(distillation(**changes)), plain, tolerance)


def test_lower_precision_is_really_used(plain: dict[str, Tensor]) -> None:
    found = gradients(distillation(performance__precision="bf16"))
    with pytest.raises(AssertionError):
        assert_alike(found, plain, 1e-4)


def test_checkpointing_keeps_less_for_the_backward_pass() -> None:
    def kept(run: Distillation) -> int:
        sizes = []

        def pack(tensor: Tensor) -> Tensor:
            sizes.append(tensor.untyped_storage().nbytes())
            return tensor

        x, sigma = torch.zeros(8, *run.card.image_shape), torch.ones(8)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            run.student.training_denoiser(x, sigma, None)
        return sum(sizes)

    assert kept(distillation(performance__gradient_checkpointing=True)) < kept(distillation()) / 3


def test_shared_samples_are_made_once_and_serve_both_networks() -> None:
    run, calls = distillation(performance__share_samples=True, denoiser__steps=3), []
    run.student.network.register_forward_hook(lambda *_: calls.append("θ"))
    values = run.advance()
    assert calls == ["θ"]
    assert all(math.isfinite(value) for value in values.values())
    fresh = distillation(denoiser__steps=3)
    fresh.student.network.register_forward_hook(lambda *_: calls.append("θ"))
    fresh.advance()
    assert len(calls) == 1 + 4


def test_shared_samples_give_theta_the_gradient_of_its_own_objective() -> None:
    """ψ's update comes between the generator's forward and backward pass, and must not disturb it."""
    run = distillation(performance__share_samples=True)
    seen: dict[str, Any] = {}
    objective = run._student_loss

    def recorded(images: Tensor, *rest: Any) -> Tensor:
        seen.update(images=images, rest=rest)
        return objective(images, *rest)

    run._student_loss = recorded
    before = [parameter.detach().clone() for parameter in run.student.network.parameters()]
    state = run.generator.get_state()
    run.advance()
    found = [parameter.grad.clone() for parameter in run.student.network.parameters() if parameter.grad is not None]
    with torch.no_grad():
        for parameter, value in zip(run.student.network.parameters(), before, strict=True):
            parameter.copy_(value)
    run.generator.set_state(state)
    (part,) = run._draw(run.spec.objective.time)
    images = run._generate(part, run.student.denoiser)
    torch.testing.assert_close(images, seen["images"])
    with run.denoiser.frozen():
        loss = objective(images, *seen["rest"]).mean()
        expected = torch.autograd.grad(loss, list(run.student.network.parameters()), allow_unused=True)
    for a, b in zip(found, [gradient for gradient in expected if gradient is not None], strict=True):
        torch.testing.assert_close(a, b)


def step_length(run: Distillation) -> float:
    before = [parameter.detach().clone() for parameter in run.student.network.parameters()]
    run.advance()
    after = run.student.network.parameters()
    return math.sqrt(sum(float((a - b).detach().square().sum()) for a, b in zip(after, before, strict=True)))


def test_the_learning_rate_rises_linearly_to_its_value() -> None:
    plain, warming = distillation(), distillation(student_optimizer__warm_up=4)
    assert step_length(warming) == pytest.approx(step_length(plain) / 4, rel=1e-3)
    for _ in range(3):
        warming.advance()
    assert warming.student.optimizer.param_groups[0]["lr"] == warming.spec.student_optimizer.learning_rate
    assert warming.denoiser.optimizer.param_groups[0]["lr"] == warming.spec.denoiser_optimizer.learning_rate


def test_a_long_gradient_is_scaled_down_and_reported_as_it_was() -> None:
    run = distillation(student_optimizer__gradient_clip=0.5)
    values = run.advance()
    clipped = torch.nn.utils.get_total_norm([p.grad for p in run.student.network.parameters() if p.grad is not None])
    assert values["student_grad_norm"] > 1
    assert float(clipped) == pytest.approx(0.5, rel=1e-3)
    assert values == distillation().advance()


def test_fp16_leaves_out_a_step_that_overflows_and_lowers_its_scale() -> None:
    run = distillation(performance__precision="fp16")
    set_scale(run, 2.0**100)
    before = [parameter.detach().clone() for parameter in run.student.network.parameters()]
    values = run.advance()
    assert "student_grad_norm" not in values
    assert math.isfinite(values["student_loss"])
    assert all(torch.equal(a, b) for a, b in zip(run.student.network.parameters(), before, strict=True))
    assert run.student._scaler.get_scale() == 2.0**99


def test_fp16_whose_gradient_overflows_at_any_scale_stops_the_run() -> None:
    run = distillation(performance__precision="fp16")
    set_scale(run, 0.5)
    run.student.network.model.conv_out.weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(TrainingError, match="the student gradient is not finite in iteration 1"):
        run.advance()


def test_dropout_acts_on_the_network_in_training_only_and_repeats_with_the_seed() -> None:
    first, again, other = (distillation(dropout=share) for share in (0.3, 0.3, 0.0))
    modes = []
    first.denoiser.network.register_forward_hook(lambda module, *_: modes.append(("ψ", module.training)))
    first.student.network.register_forward_hook(lambda module, *_: modes.append(("θ", module.training)))
    values = first.advance()
    assert modes == [("θ", False), ("ψ", True), ("θ", True), ("ψ", False)]
    assert values == again.advance() != other.advance()
    assert not first.teacher.training


@pytest.mark.parametrize(
    "changes",
    [
        {"performance": {"channels_last": "on", "precision": "bf16", "accumulation": 2}, "dropout": 0.2},
        {"performance": {"share_samples": True, "gradient_checkpointing": True}},
        {"performance": {"precision": "fp16"}},
    ],
)
def test_a_restored_state_goes_on_bitwise_with_any_options(changes: dict[str, Any], tmp_path: Path) -> None:
    def fresh() -> Distillation:
        plain = small_spec().model_dump()
        performance = plain["performance"] | changes["performance"]
        return distillation(**(changes | {"performance": performance}))

    whole = fresh()
    whole.advance()
    write_checkpoint(tmp_path / "state.safetensors", whole.state())  # a file keeps no memory layout
    whole.advance()
    resumed = fresh()
    resumed.restore(read_checkpoint(tmp_path / "state.safetensors"))
    resumed.advance()
    expected = whole.state()
    assert resumed.state().facts == expected.facts
    assert all(torch.equal(value, expected.tensors[name]) for name, value in resumed.state().tensors.items())


@pytest.mark.parametrize(
    ("performance", "message"),
    [
        ({"accumulation": 3}, r"performance: devices × accumulation = 3 has to divide the batch size, 8"),
        ({"devices": 2, "accumulation": 8}, r"devices × accumulation = 16 has to divide the batch size, 8"),
        ({"accumulation": 2, "share_samples": True}, r"performance.share_samples: .* set accumulation to 1"),
        ({"precision": "int8"}, r"performance.precision: Input should be 'fp32', 'bf16' or 'fp16'"),
    ],
)
def test_impossible_options_are_refused_with_the_reason(performance: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_spec({"batch_size": 8, "performance": performance})
