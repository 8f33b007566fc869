"""Named starting points: the paper's tables as RunSpecs, our demonstrations, and its ablation. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from simcore.config import (
    DenoiserSpec,
    EmaSpec,
    EvaluationSpec,
    GeneratorSpec,
    ObjectiveSpec,
    OptimizerSpec,
    RunSpec,
    ScheduleSpec,
    TimeSpec,
)


@dataclass(frozen=True)
class Preset:
    """A named RunSpec with one line about it.

    `ours` names the settings, or groups of them, that the paper's appendix does not give.
    """

    name: str
    title: str
    description: str
    spec: RunSpec
    ours: tuple[str, ...] = ()


_OURS = (
    *("teacher", "iterations", "seed", "device", "threads", "dropout", "performance", "ema", "schedule", "evaluation"),
    "objective.pseudo_huber_c",
    *(f"{who}_optimizer.{name}" for who in ("student", "denoiser") for name in ("epsilon", "warm_up", "gradient_clip")),
)
_OURS_FOR_SMALL_IMAGES = (
    *_OURS,
    *("batch_size", "student_optimizer.learning_rate", "denoiser_optimizer.learning_rate"),
)
_DIGITS_OPTIMIZER = OptimizerSpec(learning_rate=1e-4)
_TOY_OPTIMIZER = OptimizerSpec(learning_rate=1e-3)


def _cifar10(condition: str, title: str) -> Preset:
    """Table 5. Every setting that it gives is RunSpec's default."""
    teacher = f"edm-cifar10-32x32-{condition}-vp"
    return Preset(
        name=f"cifar10-{condition}",
        title=title,
        description=f"Table 5, for a GPU. Needs the EDM teacher {teacher}.pkl, imported with import-teacher.",
        spec=RunSpec(
            teacher=f"teachers/{teacher}",
            iterations=100_000,
            schedule=ScheduleSpec(samples_every=500, sample_count=100, checkpoint_every=5_000),
            evaluation=EvaluationSpec(every=5_000, samples=10_000, final_samples=50_000),
        ),
        ours=_OURS,
    )


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
            ours=_OURS_FOR_SMALL_IMAGES,
        ),
        Preset(
            name="mnist",
            title="MNIST",
            description="SIM on 32×32 digits with Table 5's times and weights; learning rate, batch and length are "
            "ours. About an hour on two CPU cores.",
            spec=RunSpec(
                teacher="bundled:mnist",
                iterations=4_000,
                batch_size=32,
                ema=EmaSpec(ramp_up=0.2),
                student_optimizer=_DIGITS_OPTIMIZER,
                denoiser_optimizer=_DIGITS_OPTIMIZER,
                schedule=ScheduleSpec(samples_every=50, sample_count=100, checkpoint_every=250),
                evaluation=EvaluationSpec(every=250, samples=2_000, final_samples=4_000),
            ),
            ours=_OURS_FOR_SMALL_IMAGES,
        ),
        Preset(
            name="toy-2d",
            title="2-D toy",
            description="SIM on points in the plane, in a discrete variance-preserving diffusion (A.2, Listing 1). "
            "Two minutes on one CPU core.",
            spec=RunSpec(
                teacher="bundled:eight-gaussians",
                iterations=2_000,
                batch_size=2_000,
                threads=1,
                generator=GeneratorSpec(init_sigma=0.5),
                objective=ObjectiveSpec(time=TimeSpec(law="discrete_uniform")),
                denoiser=DenoiserSpec(steps=2, weighting="vp", time=TimeSpec(law="discrete_uniform")),
                ema=EmaSpec(ramp_up=0.2),
                student_optimizer=_TOY_OPTIMIZER,
                denoiser_optimizer=_TOY_OPTIMIZER,
                schedule=ScheduleSpec(samples_every=50, sample_count=1_000, checkpoint_every=250),
                evaluation=EvaluationSpec(every=250, samples=16_000),
            ),
            ours=(*_OURS, "generator.init_sigma"),
        ),
        _cifar10("uncond", "CIFAR-10, unconditional"),
        _cifar10("cond", "CIFAR-10, class-conditional"),
    )
}


def find_preset(name: str) -> Preset:
    """The preset of that name. Raises ValueError naming the known ones."""
    try:
        return PRESETS[name]
    except KeyError:
        raise ValueError(f"unknown preset '{name}'; known presets: {', '.join(sorted(PRESETS))}") from None


def figure_2_cells(base: RunSpec) -> dict[str, RunSpec]:
    """The paper's ablation: {SIM, SiD} × {nowgt, sidwgt} × {lognormal, karras}; the rest is as in `base`.

    Keys are as in "sim-nowgt-lognormal"; its lognormal is the law sim (B.9). SIM's distance is pseudo-Huber.
    """
    return {
        f"{name}-{weight}-{times}": _with_objective(base, name=name, weighting=weighting, law=law)
        for name in ("sim", "sid")
        for weight, weighting in (("nowgt", "none"), ("sidwgt", "sid"))
        for times, law in (("lognormal", "sim"), ("karras", "karras"))
    }


def diff_instruct_cell(base: RunSpec) -> RunSpec:
    """Diff-Instruct with its own times and weight, beside the figure's cells."""
    return _with_objective(base, name="diff_instruct", weighting="none", law="edm")


def _with_objective(base: RunSpec, *, name: str, weighting: str, law: str) -> RunSpec:
    given = base.objective.model_dump()
    chosen = {"name": name, "distance": "pseudo_huber", "weighting": weighting, "sid_alpha": 1.2}
    time = TimeSpec.model_validate(base.objective.time.model_dump() | {"law": law})
    objective = ObjectiveSpec.model_validate(given | chosen | {"time": time})
    return base.model_copy(update={"objective": objective})
