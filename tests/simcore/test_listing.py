"""Listing 1 (A.2), computed literally in variance-preserving form, against our code in denoiser form."""

from __future__ import annotations

import torch
from torch import Tensor

from simcore.config import TimeSpec
from simcore.distances import pseudo_huber
from simcore.noise import draw_times, sigma_range
from simcore.objectives import denoising_loss, sim_loss
from simcore.preconditioning import DiscreteVPPrecond
from simcore.teachers import build_denoiser
from simcore.weighting import STUDENT_WEIGHTINGS, WEIGHTINGS

STEPS, BATCH, C = 100, 400, 0.03
CONFIG = {
    "preconditioning": "discrete_vp",
    "model_type": "PointMLP",
    "img_resolution": 1,
    "img_channels": 2,
    "steps": STEPS,
    "width": 16,
}


class Diffusion:
    """x_t = α_t·x_0 + σ_t·ε with β rising linearly from 0.1 to 20 over unit time; g²_t = β(t/T)/T."""

    def __init__(self) -> None:
        s = torch.arange(STEPS, dtype=torch.float64) / STEPS
        self.alpha = torch.exp(-0.5 * (0.1 * s + 19.9 * s**2 / 2))
        self.sigma = (1 - self.alpha**2).sqrt()
        self.g2 = (0.1 + 19.9 * s) / STEPS


def networks() -> tuple[DiscreteVPPrecond, DiscreteVPPrecond]:
    """Sg and Sd."""
    built = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        denoiser = build_denoiser(CONFIG)
        assert isinstance(denoiser, DiscreteVPPrecond)
        built.append(denoiser)
    return built[0], built[1]


def draws() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Points, step numbers, our noise levels of them, ε."""
    generator = torch.Generator().manual_seed(2)
    points, noise = (torch.randn(BATCH, 2, 1, 1, generator=generator) for _ in range(2))
    t = torch.randint(1, STEPS, (BATCH,), generator=generator)
    diffusion = Diffusion()
    return points, t, (diffusion.sigma / diffusion.alpha)[t].float(), noise


def listed_score(denoiser: DiscreteVPPrecond, noisy: Tensor, t: Tensor, sigma: Tensor) -> Tensor:
    """S(cat[x_t, t/T])/σ_t, of the raw network."""
    raw: Tensor = denoiser.model(noisy, t / STEPS, None)
    return raw / sigma


def test_the_loss_of_the_online_denoiser_is_the_listings() -> None:
    online, _ = networks()
    points, t, level, noise = draws()
    diffusion = Diffusion()
    alpha, sigma = (values[t].float().view(-1, 1, 1, 1) for values in (diffusion.alpha, diffusion.sigma))
    score = listed_score(online, alpha * points + sigma * noise, t, sigma)
    g2 = diffusion.g2[t].float().view(-1, 1, 1, 1)
    listed = (g2 * (score + noise / sigma).square()).flatten(1).sum(1).mean() * STEPS
    ours = denoising_loss(online, points, level, noise, None, WEIGHTINGS["vp"]).mean()
    torch.testing.assert_close(ours, listed, rtol=1e-4, atol=0)
    gradients = [torch.autograd.grad(loss, list(online.parameters())) for loss in (ours, listed)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)


def test_the_loss_of_the_student_is_the_listings() -> None:
    online, teacher = networks()
    points, t, level, noise = draws()
    diffusion = Diffusion()
    alpha, sigma = (values[t].float().view(-1, 1, 1, 1) for values in (diffusion.alpha, diffusion.sigma))

    def listed(images: Tensor) -> Tensor:
        noisy = alpha * images + sigma * noise

        def denoised(network: DiscreteVPPrecond) -> Tensor:  # Tweedie's formula
            return (noisy + sigma**2 * listed_score(network, noisy, t, sigma)) / alpha

        fake, true = denoised(online), denoised(teacher)
        difference = true - fake
        coefficient = difference / (difference.square().sum([1, 2, 3], keepdim=True) + C**2).sqrt()
        return (coefficient * (fake - images)).sum([1, 2, 3]).mean()

    def ours(images: Tensor) -> Tensor:
        weighting = STUDENT_WEIGHTINGS["none"]
        return sim_loss(images, level, noise, None, online, teacher, pseudo_huber(C), weighting).mean()

    points.requires_grad_(True)
    values, gradients = zip(
        *[(value, torch.autograd.grad(value, points)[0]) for value in (listed(points), ours(points))], strict=True
    )
    torch.testing.assert_close(values[1], values[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-2, atol=1e-5)


def test_the_times_are_the_listings_steps_and_need_no_clamping() -> None:
    online, _ = networks()
    time = TimeSpec(law="discrete_uniform", steps=STEPS)
    t = draw_times(time, 50_000, sigma_range(online), torch.Generator().manual_seed(0))
    diffusion = Diffusion()
    torch.testing.assert_close(t.unique().double(), (diffusion.sigma / diffusion.alpha)[1:], rtol=1e-5, atol=0)
    assert online.step(t).unique().tolist() == list(range(1, STEPS))
