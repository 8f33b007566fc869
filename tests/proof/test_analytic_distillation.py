"""Whole distillations whose teachers' scores are exact, and whose students are compared with the data in closed form.

Each runs the trainer's own updates (`Distillation.advance`) with its own times, weights and optimisers.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, kl_divergence

from simcore.config import RunSpec
from simcore.distillation import Distillation
from simcore.objectives import denoising_loss
from simcore.preconditioning import EDMPrecond
from simcore.resolve import resolve
from simcore.sampling import one_step
from simcore.seeds import generator_for
from simcore.teacher_card import TeacherCard
from simcore.weighting import WEIGHTINGS

OBJECTIVES: dict[str, dict[str, Any]] = {
    "SIM, squared L2": {"distance": "squared_l2"},
    "SIM, power": {"distance": "power", "power_alpha": 4},
    "SIM, exp-power": {"distance": "exp_power", "power_alpha": 2, "exp_beta": 0.1},
    "SIM, Huber": {"distance": "huber"},
    "SIM, pseudo-Huber": {"distance": "pseudo_huber"},
    "SiD": {"name": "sid", "time": {"law": "karras"}},
    "Diff-Instruct": {"name": "diff_instruct", "time": {"law": "edm"}},
}


def distillation(teacher: nn.Module, channels: int, objective: dict[str, Any], **settings: Any) -> Distillation:
    """All three networks start as copies of `teacher`, on points of `channels` numbers."""
    card = TeacherCard(
        name="analytic",
        title="Analytic",
        description="",
        dataset="analytic",
        licence="",
        source="",
        parameters=1,
        sha256="0" * 64,
        config={"img_resolution": 1, "img_channels": channels},
    )
    common = {"device": "cpu", "threads": 1, "objective": {"time": {"law": "sim"}} | objective}
    spec = resolve(RunSpec.model_validate(common | settings), card)
    return Distillation(spec, card, teacher.requires_grad_(False))  # type: ignore[arg-type]


def student_samples(run: Distillation, latents: Tensor) -> Tensor:
    """g(t*·latents) of the moving average, float64 [B, D]."""
    with torch.no_grad():
        return one_step(run.ema, latents[:, :, None, None], None, run.spec.generator.init_sigma).flatten(1).double()


class GaussianDenoiser(nn.Module):
    """E[x_0 | x_t] for x_0 ~ N(mean, L Lᵀ) in two dimensions. At one noise level it is a linear generator."""

    sigma_min, sigma_max = 0.002, 80.0

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.tensor([0.4, -0.1]))
        self.factor = nn.Parameter(torch.tensor([[0.7, 0.0], [0.2, 0.5]]))

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """Σ(Σ + σ²I)⁻¹(x − m) + m, with the 2 × 2 inverse written out."""
        a, b, _, d = (self.factor @ self.factor.T).flatten()
        square = sigma.expand(len(x)) ** 2
        first, second = (x.flatten(1) - self.mean).unbind(1)
        determinant = (a + square) * (d + square) - b**2
        solved = torch.stack([(d + square) * first - b * second, (a + square) * second - b * first], 1)
        shift = torch.stack([a * solved[:, 0] + b * solved[:, 1], b * solved[:, 0] + d * solved[:, 1]], 1)
        return (self.mean + shift / determinant[:, None]).view_as(x)

    def distribution(self) -> MultivariateNormal:
        factor = self.factor.detach().double()
        return MultivariateNormal(self.mean.detach().double(), factor @ factor.T)


def kl_of_gaussians(run: Distillation) -> float:
    """KL(student ‖ teacher); the student is linear, so three points tell its distribution."""
    shift, *columns = student_samples(run, torch.cat([torch.zeros(1, 2), torch.eye(2)]))
    matrix = torch.stack(columns, 1) - shift[:, None]
    teacher: Any = run.teacher
    return float(kl_divergence(MultivariateNormal(shift, matrix @ matrix.T), teacher.distribution()))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_gaussian_teacher_is_distilled_into_a_linear_generator(name: str) -> None:
    run = distillation(
        GaussianDenoiser(),
        2,
        OBJECTIVES[name],
        batch_size=256,
        student_optimizer={"learning_rate": 3e-3},
        denoiser_optimizer={"learning_rate": 1e-2},
        ema={"half_life_kimg": 20},
    )
    assert kl_of_gaussians(run) > 1
    for _ in range(3000 if name == "SIM, power" else 1000):  # d' = 4y³ is flat near its end
        run.advance()
    assert kl_of_gaussians(run) < 0.001


MODES, SHARES, WIDTH = torch.tensor([-0.6, 0.6]), torch.tensor([0.4, 0.6]), 0.3


class Mixture(nn.Module):
    """E[x_0 | x_t] for two normals of standard deviation WIDTH around MODES."""

    sigma_min, sigma_max = 0.002, 80.0

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        variance = WIDTH**2 + sigma.expand(len(x)).view(-1, 1) ** 2
        distance = x.flatten(1) - MODES
        responsibility = (SHARES.log() - distance**2 / (2 * variance)).softmax(1)
        return (responsibility * (MODES + WIDTH**2 / variance * distance)).sum(1).view_as(x)


class Perceptron(nn.Module):
    """Three hidden layers of 64, on x and c_noise."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [2, 64, 64, 64]
        hidden = [layer for i in range(3) for layer in (nn.Linear(sizes[i], sizes[i + 1]), nn.SiLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(64, 1))

    def forward(self, x: Tensor, c_noise: Tensor, labels: Tensor | None = None) -> Tensor:
        found: Tensor = self.layers(torch.cat([x.flatten(1), c_noise[:, None]], 1)).view_as(x)
        return found


@pytest.fixture(scope="module")
def pretrained() -> EDMPrecond:
    """A network trained on the mixture: where student and online denoiser start."""
    torch.manual_seed(0)
    generator = generator_for(0, "pretraining")
    denoiser, steps = EDMPrecond(Perceptron()), 1500
    adam = torch.optim.Adam(denoiser.parameters())
    for step in range(steps):
        adam.param_groups[0]["lr"] = 3e-3 * (1 - step / steps)
        modes = MODES[(torch.rand(512, generator=generator) < SHARES[1]).long()]
        images = (modes + WIDTH * torch.randn(512, generator=generator)).view(-1, 1, 1, 1)
        t = (1.5 * torch.randn(512, generator=generator) - 1).exp()
        noise = torch.randn(images.shape, generator=generator)
        adam.zero_grad()
        denoising_loss(denoiser, images, t, noise, None, WEIGHTINGS["edm"]).mean().backward()
        adam.step()
    return denoiser


def compare_with_mixture(run: Distillation) -> tuple[float, float]:
    """(KL(student ‖ mixture) between their histograms, the student's share around the right mode)."""
    count = 400_000
    samples = student_samples(run, torch.randn(count, 1, generator=generator_for(1, "evaluation"))).flatten()
    edges = torch.linspace(-3, 3, 301, dtype=torch.float64)
    found = torch.histogram(samples.clamp(-3, 3), edges).hist / count
    below = (SHARES.double() * torch.special.ndtr((edges[:, None] - MODES.double()) / WIDTH)).sum(1)
    terms = torch.special.xlogy(found, found / below.diff())
    return float(terms.sum()), float((samples > 0).double().mean())


@pytest.mark.parametrize("name", ["SIM, squared L2", "SIM, pseudo-Huber", "SiD", "Diff-Instruct"])
def test_a_bimodal_teacher_keeps_both_modes(name: str, pretrained: EDMPrecond) -> None:
    """The online denoiser takes five steps for each of the student's: SIM ends at 0.12 where it lags behind."""
    run = distillation(
        pretrained,
        1,
        OBJECTIVES[name],
        batch_size=512,
        denoiser={"steps": 5},
        student_optimizer={"learning_rate": 5e-4},
        denoiser_optimizer={"learning_rate": 2e-3},
        ema={"half_life_kimg": 50},
    )
    run.teacher = Mixture()  # type: ignore[assignment]
    assert compare_with_mixture(run)[0] > 1
    for _ in range(1000):
        run.advance()
    kl, share = compare_with_mixture(run)
    assert kl < 0.1
    assert share == pytest.approx(SHARES[1].item(), abs=0.05)
