"""What a run will take, said before it is launched: from its spec and from what earlier runs measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from django.db.models import QuerySet
from django.template.defaultfilters import filesizeformat

from simcore.config import ComputeSpec, RunSpec
from simcore.pretrain_config import PretrainSpec, denoiser_config, parameters_of
from studio.catalog.models import Dataset, Teacher
from studio.jobs.lifecycle import JobState
from studio.pool.disk import free_bytes
from studio.pool.needs import COPIES_IN_MEMORY, FLOAT, GIB, PRETRAINING_COPIES_IN_MEMORY, gib
from studio.runs.models import Metric, Run
from studio.runs.prepare import checkpoints_on_disk, disk_forecast

SPEED_POINTS = 1000  # the newest


@dataclass
class Estimate:
    """Texts for the page."""

    time: str = "unknown"
    memory: str = "unknown"
    disk: str = "unknown"
    notes: list[str] = field(default_factory=list)
    errors: int = 0


def estimate(spec: RunSpec, teacher: Teacher) -> Estimate:
    """Time from the last finished run of the same teacher; memory and disk from the number of parameters."""
    parameters = teacher.read_card().parameters
    result = _space(spec, spec.performance, COPIES_IN_MEMORY, parameters)
    seconds = _seconds_per_image(Run.objects.filter(teacher=teacher))
    if seconds is None:
        result.notes.append("No run of this teacher has finished yet, so its speed is unknown.")
    return _with_time(result, spec, seconds)


def estimate_training(spec: PretrainSpec, dataset: Dataset) -> Estimate:
    """Of a teacher's training: time from the last one that finished with this network on this data set.

    Raises SpecError where the spec does not fit the data set.
    """
    card = dataset.read_card()
    parameters = parameters_of(denoiser_config(spec, card.image_shape, card.classes, card.name))
    result = _space(spec, spec.performance, PRETRAINING_COPIES_IN_MEMORY, parameters)
    result.notes.append(f"The teacher has {parameters:,} parameters.")
    alike = Run.objects.filter(dataset=dataset, job__spec__network=spec.network.model_dump(mode="json"))
    seconds = _seconds_per_image(alike)
    if seconds is None:
        result.notes.append("No teacher with this network has been trained on it yet, so its speed is unknown.")
    return _with_time(result, spec, seconds)


def _space(spec: RunSpec | PretrainSpec, compute: ComputeSpec, copies: int, parameters: int) -> Estimate:
    checkpoints, forecast, own = checkpoints_on_disk(spec), disk_forecast(spec, parameters), compute.memory_gib
    weights = filesizeformat(copies * FLOAT * parameters)
    return Estimate(
        memory=f"{gib(int(own * GIB))} as set" if own else f"{weights} for weights, gradients and optimisers",
        disk=f"{filesizeformat(forecast)} for {checkpoints} checkpoints at most; {gib(free_bytes())} free",
    )


def _with_time(result: Estimate, spec: RunSpec | PretrainSpec, seconds_per_image: float | None) -> Estimate:
    if seconds_per_image is not None:
        result.time = f"about {duration(seconds_per_image * spec.batch_size * spec.iterations)} of training"
    if spec.iterations < 100:
        result.notes.append("So few iterations show that everything works, not what the method can do.")
    return result


def estimate_all(specs: Sequence[RunSpec]) -> Estimate:
    """Of several runs one after the other: the sum of their times and disk, the most of their memory.

    Their teachers stand in the catalogue.
    """
    total = Estimate()
    teachers = {teacher.reference: teacher for teacher in Teacher.objects.all()}
    used = {spec.teacher for spec in specs}
    speeds = {reference: _seconds_per_image(Run.objects.filter(teacher=teachers[reference])) for reference in used}
    parameters = {reference: teachers[reference].read_card().parameters for reference in used}
    disk = sum(disk_forecast(spec, parameters[spec.teacher]) for spec in specs)
    total.disk = f"{filesizeformat(disk)} for the checkpoints of {len(specs)} runs"
    total.memory = f"{filesizeformat(COPIES_IN_MEMORY * FLOAT * max(parameters.values()))} for each run"
    times = [speeds[spec.teacher] for spec in specs]
    if None in times:
        total.notes.append("No run of this teacher has finished yet, so its speed is unknown.")
    else:
        seconds = sum((time or 0) * spec.batch_size * spec.iterations for time, spec in zip(times, specs, strict=True))
        total.time = f"about {duration(seconds)} of training, one run after the other"
    return total


def _seconds_per_image(runs: QuerySet[Run]) -> float | None:
    """Of the last of the runs that succeeded."""
    run = runs.filter(job__state=JobState.SUCCEEDED).select_related("job").order_by("-job__finished_at").first()
    if run is None:
        return None
    points = Metric.objects.filter(run=run, name="seconds_per_iteration", superseded=False).order_by("-step")
    seconds = list(points.values_list("value", flat=True)[:SPEED_POINTS])
    return fmean(seconds) / int(run.job.spec["batch_size"]) if seconds else None


def duration(seconds: float) -> str:
    """As in "3 h 12 min", "4 min", "25 s"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
