"""What a run will take, said before it is launched: from its spec and from what earlier runs measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import fmean

from django.template.defaultfilters import filesizeformat

from simcore.config import RunSpec
from studio.catalog.models import Teacher
from studio.jobs.lifecycle import JobState
from studio.runs.models import Metric, Run

FLOAT = 4  # bytes
# θ, ψ, the teacher, the average, two gradients, and Adam's two moments of θ and of ψ
COPIES_IN_MEMORY = 10
# θ, ψ, the average and the moments
COPIES_IN_CHECKPOINT = 7
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
    checkpoints = -(-spec.iterations // spec.schedule.checkpoint_every)
    result = Estimate(
        memory=f"{filesizeformat(COPIES_IN_MEMORY * FLOAT * parameters)} for weights, gradients and optimisers",
        disk=f"{filesizeformat(checkpoints * COPIES_IN_CHECKPOINT * FLOAT * parameters)} for {checkpoints} checkpoints",
    )
    seconds = _seconds_per_image(teacher)
    if seconds is None:
        result.notes.append("No run of this teacher has finished yet, so its speed is unknown.")
    else:
        result.time = f"about {duration(seconds * spec.batch_size * spec.iterations)} of training"
    if spec.iterations < 100:
        result.notes.append("So few iterations show that everything works, not what the method can do.")
    return result


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
