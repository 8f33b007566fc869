"""Theorem 3.1, with the trainer's own functions.

    ∂θ E_{x_t ~ p_sg[θ],t} d(y_t) = ∂θ E −d'(y_t)ᵀ (d_sg[θ](x_t) − x_0),   y_t = t²·(s_pθ,t − s_qt)

for a linear generator g(z) = A z + b and a Gaussian teacher, where p_θ,t is known in closed form. Both sides are
averages over the same points, differentiated by autograd; the left one knows neither d' nor the objective.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import simcore.objectives
from simcore.distances import Distance, exp_power, huber, l1, power, pseudo_huber, squared_l2
from simcore.objectives import diff_instruct_loss, sim_loss
from simcore.weighting import STUDENT_WEIGHTINGS
from tests.simcore.analytic import T_STAR, blocks_of_normals, gaussian_denoiser, student_covariance

POINTS, BLOCKS = 2**12, 16
LEVELS = (0.3, 0.7, 1.5, 3.0)
# In runs: were they to alternate, each level would meet its own part of a Sobol sequence only.
TIMES = torch.tensor(LEVELS, dtype=torch.float64).repeat_interleave(POINTS // len(LEVELS))
ROUNDING = 1e-14
NONE = STUDENT_WEIGHTINGS["none"]
COVERED = {
    "squared_l2": squared_l2(),
    "power": power(4),
    "exp_power": exp_power(2, 0.2),
    "huber": huber(0.2),
    "pseudo_huber": pseudo_huber(0.1),
}
MATRIX = torch.tensor([[0.20, 0.05], [-0.08, 0.30]], dtype=torch.float64)  # A
SHIFT = torch.tensor([-0.2, 0.3], dtype=torch.float64)  # b
TEACHER = gaussian_denoiser(
    torch.tensor([0.4, -0.1], dtype=torch.float64), torch.tensor([[0.6, 0.2], [0.2, 0.3]], dtype=torch.float64)
)

Loss = Callable[..., Tensor]


def gradients(loss: Loss, distance: Distance) -> tuple[Tensor, Tensor]:
    """Both sides for (A, b) flattened, [BLOCKS, 6] each: what `loss` gives, and what the theorem says."""
    found, expected = [], []
    for normals in blocks_of_normals(4, POINTS, BLOCKS):
        matrix, shift = MATRIX.clone().requires_grad_(True), SHIFT.clone().requires_grad_(True)
        latents, noise = T_STAR * normals[:, :2], normals[:, 2:]
        images = latents @ matrix.T + shift
        frozen = gaussian_denoiser(SHIFT, student_covariance(MATRIX))
        value = loss(images, TIMES, noise, None, frozen, TEACHER, distance, NONE).mean()
        found.append(_flat(torch.autograd.grad(value, (matrix, shift), allow_unused=True)))

        noisy = (images + TIMES[:, None] * noise).detach()
        student = gaussian_denoiser(shift, student_covariance(matrix))
        value = distance.value(student(noisy, TIMES) - TEACHER(noisy, TIMES)).mean()
        expected.append(_flat(torch.autograd.grad(value, (matrix, shift))))
    return torch.stack(found), torch.stack(expected)


def _flat(gradients: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([gradient.flatten() for gradient in gradients])


def errors(found: Tensor, expected: Tensor) -> Tensor:
    """|mean difference| of each entry in standard errors, [6]."""
    difference = found - expected
    return difference.mean(0).abs() / (difference.std(0) / BLOCKS**0.5).clamp(min=ROUNDING)


def agree(found: Tensor, expected: Tensor) -> bool:
    """Within Monte-Carlo error."""
    return bool((errors(found, expected) < 5).all())


@pytest.mark.parametrize("name", COVERED)
def test_sims_gradient_is_that_of_the_distance_between_scores(name: str) -> None:
    found, expected = gradients(sim_loss, COVERED[name])
    assert agree(found, expected)
    assert not agree(1.02 * found, expected)
    assert not agree(0.98 * found, expected)


@pytest.mark.parametrize("name", COVERED)
def test_every_entry_is_known_to_two_percent(name: str) -> None:
    """Not only the gradient as a whole: five standard errors of each entry are less than 2 % of the gradient."""
    found, expected = gradients(sim_loss, COVERED[name])
    five_errors = 5 * (found - expected).std(0) / BLOCKS**0.5
    assert (five_errors < 0.02 * expected.mean(0).norm()).all()


def test_for_l1_the_shift_agrees_and_the_matrix_does_not() -> None:
    """sign(y) jumps, and autograd misses what the jumps contribute; for a shift that averages to zero."""
    found, expected = gradients(sim_loss, l1())
    matrix, shift = slice(0, 4), slice(4, 6)
    assert (errors(found, expected)[shift] < 5).all()
    assert (errors(1.02 * found, expected)[shift] > 5).any()
    gap = (found - expected).mean(0)[matrix].norm() / expected.mean(0)[matrix].norm()
    assert gap > 0.1


# What to replace in the source of sim_loss, and by what.
MUTATIONS = {
    "sign flipped": ("(-gradient *", "(gradient *"),
    "t² dropped": ("distance.gradient(fake - real)", "distance.gradient((fake - real) / t[:, None] ** 2)"),
    "x_t detached": ("add_noise(images, t, noise)", "add_noise(images, t, noise).detach()"),
    "teacher detached": ("teacher(noisy, t, labels)", "teacher(noisy, t, labels).detach()"),
    "online denoiser detached": ("online(noisy, t, labels)", "online(noisy, t, labels).detach()"),
    "d' detached": ("distance.gradient(fake - real)", "distance.gradient(fake - real).detach()"),
    "x_0 detached": ("(fake - images)", "(fake - images.detach())"),
    "teacher and online swapped": ("fake - real", "real - fake"),
    "gradient doubled": ("-gradient", "-2 * gradient"),
}


def mutated(old: str, new: str) -> Loss:
    """sim_loss with one change to its source."""
    source = inspect.getsource(sim_loss)
    assert source.count(old) == 1
    scope = dict(vars(simcore.objectives))
    exec(compile("from __future__ import annotations\n" + source.replace(old, new), "mutation", "exec"), scope)
    loss: Loss = scope["sim_loss"]
    return loss


@pytest.mark.parametrize("distance", ["squared_l2", "pseudo_huber"])
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_changed_objective_is_found_out(mutation: str, distance: str) -> None:
    assert not agree(*gradients(mutated(*MUTATIONS[mutation]), COVERED[distance]))


def test_the_unchanged_source_is_not_found_out() -> None:
    assert agree(*gradients(mutated("fake - real", "fake - real"), COVERED["pseudo_huber"]))


@pytest.mark.parametrize("name", COVERED)
def test_a_gradient_d_prime_with_a_wrong_factor_is_found_out(name: str) -> None:
    right = COVERED[name]
    wrong = Distance(right.value, lambda y: 1.02 * right.gradient(y))
    assert not agree(*gradients(sim_loss, wrong))


def _kl(matrix: Tensor, shift: Tensor, t: float) -> Tensor:
    """KL(p_θ,t ‖ q_t) of the two Gaussians of this file."""
    identity = t**2 * torch.eye(2, dtype=torch.float64)
    p = torch.distributions.MultivariateNormal(shift, student_covariance(matrix) + identity)
    covariance = torch.tensor([[0.6, 0.2], [0.2, 0.3]], dtype=torch.float64) + identity
    q = torch.distributions.MultivariateNormal(torch.tensor([0.4, -0.1], dtype=torch.float64), covariance)
    return torch.distributions.kl_divergence(p, q)


def test_diff_instructs_gradient_is_that_of_the_kl_divergence_times_t_squared() -> None:
    matrix, shift = MATRIX.clone().requires_grad_(True), SHIFT.clone().requires_grad_(True)
    value = torch.stack([t**2 * _kl(matrix, shift, t) for t in LEVELS]).mean()
    expected = _flat(torch.autograd.grad(value, (matrix, shift))).expand(BLOCKS, -1)

    def loss(*arguments: object) -> Tensor:
        return diff_instruct_loss(*arguments[:6], NONE)  # type: ignore[arg-type]

    found, _ = gradients(loss, squared_l2())
    assert agree(found, expected)
    assert not agree(1.02 * found, expected)
