"""Everything the run page shows before it goes live."""

from __future__ import annotations

from typing import Any

from django.template.defaultfilters import filesizeformat
from django.urls import reverse

from simcore.config import RunSpec
from simcore.figures import POINT_SETS, figures_of
from simcore.presets import PRESETS
from simcore.pretrain_config import PretrainSpec
from studio.catalog.models import Teacher
from studio.jobs.lifecycle import ENDED_STATES, JobState
from studio.jobs.models import Job
from studio.jobs.services import actions_of
from studio.runs.fields import show, spec_groups, value_at
from studio.runs.models import Checkpoint, Evaluation, Metric, Run, SampleGrid
from studio.runs.rows import run_row
from studio.runs.specs import is_automatic
from studio.runs.teacher_training import standard_for

LOG_LINES = 200


def run_detail(run: Run) -> dict[str, Any]:
    """The context of `runs/detail.html`."""
    job, figures, row = run.job, figures_of(run.measured_on), run_row(run)
    return {
        **vars(row),
        "value": row.value,
        "teacher_value": row.teacher_value,
        "preset": run.preset,
        "dataset": run.dataset,
        "made": teacher_made(run),
        "notes": run.notes,
        "cell": run.cell,
        "attempt": job.attempt,
        "worker": job.worker,
        "device": job.device,
        "actions": actions_of(job),
        "ended": job.state in ENDED_STATES,
        # People compare images, not points.
        "people_compare": job.state == JobState.SUCCEEDED and not run.dataset and run.measured_on not in POINT_SETS,
        "started": job.started_at,
        "finished": job.finished_at,
        "last_seq": job.event_seq,
        "failure": job.reason if job.state == JobState.FAILED else "",
        "summary": job.result,
        "iterations_per_second": _iterations_per_second(run),
        "spec_groups": _spec_groups(run),
        "log_tail": _log_tail(job),
        "audit": _audit(job),
        "checkpoints": [
            _checkpoint(row) for row in Checkpoint.objects.filter(run=run, superseded=False, removed=False)
        ],
        "checkpoints_removed": Checkpoint.objects.filter(run=run, superseded=False, removed=True).count(),
        "schedule": job.spec.get("schedule", {}),
        "samples": [_samples(row) for row in SampleGrid.objects.filter(run=run, superseded=False)],
        "figures": figures,
        "distances": " ".join(figure.name for figure in figures if figure.distance),
        "evaluations": list(
            Evaluation.objects.filter(run=run, superseded=False).values("step", "source", "values", "samples", "nfe")
        ),
    }


def teacher_made(run: Run) -> Teacher | None:
    """The teacher that it trained, once it has; the one that was there already where the weights are the same."""
    sha256 = ((run.job.result or {}).get("card") or {}).get("sha256")
    return Teacher.objects.filter(sha256=sha256).first() if sha256 else None


def _iterations_per_second(run: Run) -> float | None:
    points = Metric.objects.filter(run=run, name="seconds_per_iteration", superseded=False).order_by("-step")
    last = [value for value in points.values_list("value", flat=True)[:20] if value > 0]
    return len(last) / sum(last) if last else None


def _spec_groups(run: Run) -> list[dict[str, Any]]:
    preset, kind = PRESETS.get(run.preset), PretrainSpec if run.dataset else RunSpec
    standard = preset.spec.model_dump(mode="json") if preset else {}
    if run.dataset:
        standard = standard_for(run.dataset).model_dump(mode="json")
    return [
        {"title": group.title, "rows": [_setting(run.job.spec, standard, leaf) for leaf in group.leaves]}
        for group in spec_groups(kind)
    ]


def _setting(spec: dict[str, Any], standard: dict[str, Any], leaf: Any) -> dict[str, Any]:
    value, preset_value = value_at(spec, leaf.path), value_at(standard, leaf.path)
    automatic = is_automatic(preset_value)  # resolved when the run was created
    return {
        "label": leaf.label,
        "value": show(value),
        "unit": leaf.unit,
        "preset_value": "automatic" if automatic else show(preset_value),
        "differs": not automatic and value != preset_value,
        "help": leaf.help,
    }


def _log_tail(job: Job) -> list[dict[str, Any]]:
    rows = job.events.filter(type="log").order_by("-seq")[:LOG_LINES]
    return [{"at": row.at, **row.payload} for row in reversed(rows)]


def _audit(job: Job) -> list[dict[str, Any]]:
    return [
        {
            "at": move.at,
            "from_label": JobState(move.from_state).label if move.from_state else "",
            "to_label": JobState(move.to_state).label,
            "actor": move.actor,
            "reason": move.reason,
        }
        for move in job.transitions.all()
    ]


def _checkpoint(row: Checkpoint) -> dict[str, Any]:
    url = reverse("runs:checkpoint", args=(row.run_id, row.pk))
    return {"id": row.pk, "step": row.step, "size": filesizeformat(row.size), "url": url, "attempt": row.attempt}


def _samples(row: SampleGrid) -> dict[str, Any]:
    return {
        "id": row.pk,
        "step": row.step,
        "source": row.source,
        "url": reverse("runs:sample", args=(row.run_id, row.pk)),
        "nfe": row.nfe,
        "columns": row.columns,
        "count": row.count,
    }
