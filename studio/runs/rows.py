"""A run as a row of the list: gathered for many runs with a constant number of queries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef
from django.template.loader import render_to_string

from simcore.figures import Figure
from studio.jobs.lifecycle import JobState, RequestedAction
from studio.jobs.models import Job
from studio.pool.selectors import wait_reasons
from studio.runs.charts import sparklines
from studio.runs.headline import headline_of
from studio.runs.models import Evaluation, Run, RunGroup

OBJECTIVE_LABELS = {"sim": "SIM", "sid": "SiD", "diff_instruct": "Diff-Instruct"}
DISTANCE_LABELS = {
    "pseudo_huber": "pseudo-Huber",
    "squared_l2": "squared L2",
    "power": "power",
    "exp_power": "exp-power",
    "l1": "L1",
    "huber": "Huber",
}


@dataclass(frozen=True)
class RunRow:
    """What `runs/_row.html` shows."""

    id: int
    name: str
    state: str
    state_label: str
    reason: str
    kind: str
    teacher_title: str
    dataset_title: str
    objective: str
    step: int
    total_steps: int
    progress: int
    headline: Figure
    student_figure: float | None
    teacher_figure: float | None
    sparkline: str
    created: datetime
    owner: str
    tags: tuple[str, ...]
    archived: bool
    group: RunGroup | None

    @property
    def value(self) -> str:
        """The student's headline figure as people read it; empty where it was not measured yet."""
        return "" if self.student_figure is None else self.headline.show(self.student_figure)

    @property
    def teacher_value(self) -> str:
        """The teacher's."""
        return "" if self.teacher_figure is None else self.headline.show(self.teacher_figure)


def run_rows(runs: Sequence[Run]) -> list[RunRow]:
    """Rows in the order of `runs`, which come with job, owner, teacher and group selected and tags prefetched."""
    evaluations = _latest_evaluations([run.pk for run in runs])
    lines: dict[int, str] = {}
    for distils, series in ((True, "student_loss"), (False, "denoiser_loss")):
        totals = {run.pk: max(run.job.total_steps, 1) for run in runs if (run.teacher_id is not None) == distils}
        lines |= sparklines(totals, series)
    waits = wait_reasons([run.job for run in runs])
    return [_row(run, evaluations, lines.get(run.pk, ""), waits.get(run.pk, "")) for run in runs]


def run_row(run: Run) -> RunRow:
    """One run's row."""
    return run_rows([run])[0]


def rows_html(run_ids: Collection[int]) -> dict[int, str]:
    """The rendered rows of those of the runs that exist, by id."""
    runs = Run.objects.select_related("job__owner", "teacher", "dataset", "group").prefetch_related("tags")
    runs = runs.filter(pk__in=run_ids).order_by("pk")
    return {row.id: render_to_string("runs/_row.html", {"run": row}) for row in run_rows(list(runs))}


def _latest_evaluations(run_ids: Sequence[int]) -> dict[tuple[int, str], dict[str, float]]:
    live = Evaluation.objects.filter(run_id__in=run_ids, superseded=False)
    later = live.filter(run=OuterRef("run"), source=OuterRef("source"), step__gt=OuterRef("step"))
    rows = live.filter(~Exists(later)).order_by("pk")
    return {(row.run_id, row.source): row.values for row in rows}


def _row(run: Run, evaluations: dict[tuple[int, str], dict[str, float]], sparkline: str, waits: str) -> RunRow:
    job, headline = run.job, headline_of(run)

    def newest(source: str) -> float | None:
        return evaluations.get((run.pk, source), {}).get(headline.name)

    return RunRow(
        id=run.pk,
        name=run.name,
        state=job.state,
        state_label=JobState(job.state).label,
        reason=_reason(job) or waits,
        kind=job.kind,
        teacher_title=run.teacher.title if run.teacher else "",
        dataset_title=run.dataset.title if run.dataset else "",
        objective=objective_label(job),
        step=job.step,
        total_steps=job.total_steps,
        progress=min(100, 100 * job.step // max(job.total_steps, 1)),
        headline=headline,
        student_figure=newest("student"),
        teacher_figure=newest("teacher"),
        sparkline=sparkline,
        created=job.created_at,
        owner=job.owner.get_username(),
        tags=tuple(tag.name for tag in run.tags.all()),
        archived=run.archived,
        group=run.group,
    )


def _reason(job: Job) -> str:
    if job.requested_action and not job.hold:
        return f"{RequestedAction(job.requested_action).label}…"
    return job.hold or job.reason


def objective_label(job: Job) -> str:
    """Short, as in "SIM · pseudo-Huber"; the baselines choose no distance, a teacher's training no objective."""
    if "objective" not in job.spec:
        return "denoising"
    objective = job.spec["objective"]
    label = OBJECTIVE_LABELS[objective["name"]]
    return f"{label} · {DISTANCE_LABELS[objective['distance']]}" if objective["name"] == "sim" else label
