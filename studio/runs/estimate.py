"""What a run will take, said before it is launched: from its spec and from what earlier runs measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from django.template.defaultfilters import filesizeformat

from simcore.config import RunSpec
from studio.catalog.models import Teacher
from studio.jobs.lifecycle import JobState
from studio.pool.disk import free_bytes
from studio.pool.needs import COPIES_IN_MEMORY, FLOAT, GIB, gib
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
    checkpoints, forecast = checkpoints_on_disk(spec), disk_forecast(spec, parameters)
    own = spec.performance.memory_gib
    weights = filesizeformat(COPIES_IN_MEMORY * FLOAT * parameters)
    result = Estimate(
        memory=f"{gib(int(own * GIB))} as set" if own else f"{weights} for weights, gradients and optimisers",
        disk=f"{filesizeformat(forecast)} for {checkpoints} checkpoints at most; {gib(free_bytes())} free",
    )
    seconds = _seconds_per_image(teacher)
    if seconds is None:
        result.notes.append("No run of this teacher has finished yet, so its speed is unknown.")
    else:
        result.time = f"about {duration(seconds * spec.batch_size * spec.iterations)} of training"
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
    speeds = {reference: _seconds_per_image(teachers[reference]) for reference in used}
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


def _seconds_per_image(teacher: Teacher) -> float | None:
    run = (
        Run.objects.filter(teacher=teacher, job__state=JobState.SUCCEEDED)
        .select_related("job")
        .order_by("-job__finished_at")
        .first()
    )
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
