"""Named starting points: the paper's tables as RunSpecs, and our demonstrations. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from simcore.config import EmaSpec, EvaluationSpec, OptimizerSpec, RunSpec, ScheduleSpec


@dataclass(frozen=True)
class Preset:
    """A named RunSpec with one line about it."""

    name: str
    title: str
    description: str
    spec: RunSpec


_DIGITS_OPTIMIZER = OptimizerSpec(learning_rate=1e-4)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="digits-demo",
            title="Digits demo",
            description="SIM on 8×8 digits with Table 5's times and weights; learning rate, batch and length are ours. "
            "Six minutes on one CPU core.",
            spec=RunSpec(
                teacher="bundled:digits",
                iterations=2_500,
                batch_size=64,
                threads=1,  # the second core serves the studio; two threads wait for each other on a shared core
                ema=EmaSpec(ramp_up=0.2),
                student_optimizer=_DIGITS_OPTIMIZER,
                denoiser_optimizer=_DIGITS_OPTIMIZER,
                schedule=ScheduleSpec(samples_every=50, sample_count=100, checkpoint_every=250),
                # Fewer images during the run: quicker, and reading somewhat higher than at the end.
                evaluation=EvaluationSpec(every=250, samples=4_000),
            ),
        ),
    )
}


def find_preset(name: str) -> Preset:
    """The preset of that name. Raises ValueError naming the known ones."""
    try:
        return PRESETS[name]
    except KeyError:
        raise ValueError(f"unknown preset '{name}'; known presets: {', '.join(sorted(PRESETS))}") from None
