"""What the pages of studies show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from studio.common.permissions import may_change
from studio.runs.models import Checkpoint, Run
from studio.study.actions import offered
from studio.study.generation import drawing_problems
from studio.study.lifecycle import StudyState
from studio.study.models import Image, Prompt, Study, StudyEvent
from studio.study.opening import opening_problems
from studio.study.pictures import live_images

_SHOWN_CHARACTERS = 300


def studies() -> QuerySet[Study]:
    """All studies, newest first, with arms and the number of participants who finished."""
    finished = Count("participants", filter=Q(participants__finished_at__isnull=False))
    return Study.objects.select_related("owner").prefetch_related("arms").annotate(finished=finished).order_by("-pk")


@dataclass(frozen=True)
class Progress:
    """How far the review is."""

    approved: int
    rejected: int
    total: int

    @property
    def pending(self) -> int:
        """Not looked at yet."""
        return self.total - self.approved - self.rejected


def review_progress(study: Study) -> Progress:
    """Of all pictures that the study needs, there or not."""
    counts = dict(live_images(study).order_by().values_list("review").annotate(number=Count("pk")))
    total = study.prompts.count() * 2
    return Progress(counts.get(Image.Review.APPROVED, 0), counts.get(Image.Review.REJECTED, 0), total)


def study_context(study: Study, user: Any) -> dict[str, Any]:
    """What every page of a study shows in its head."""
    mine = may_change(user, study.owner_id)
    return {"study": study, "mine": mine, "actions": offered(study) if mine else []}


def study_overview(study: Study) -> dict[str, Any]:
    """The context of a study's own page."""
    problems: list[str] = []
    if study.state == StudyState.DRAFT:
        problems = drawing_problems(study)
    elif study.state == StudyState.REVIEW:
        problems = opening_problems(study)
    last = study.events.first()
    return {
        "arms": arm_rows(study),
        "prompt_count": study.prompts.count(),
        "progress": review_progress(study),
        "problems": problems,
        "job": study.job if study.state == StudyState.GENERATING else None,
        "failure": _failure(study, last),
    }


def _failure(study: Study, last: StudyEvent | None) -> str:
    """Why the last drawing came to nothing, until something else happens."""
    failed = study.job is not None and study.job.state == "failed" and study.state != StudyState.GENERATING
    return study.job.reason if failed and study.job and last and last.what.startswith("moved it from gener") else ""


def arm_rows(study: Study) -> list[dict[str, Any]]:
    """Arm A and arm B, with the arm where it is chosen."""
    arms = {arm.position: arm for arm in study.arms.select_related("checkpoint__run__teacher", "teacher")}
    return [{"position": position, "letter": "AB"[position], "arm": arms.get(position)} for position in (0, 1)]


@dataclass(frozen=True)
class Pair:
    """A prompt with what there is of its two pictures, arm A first."""

    prompt: Prompt
    images: list[Image]
    missing: list[str]


def review_pairs(study: Study) -> list[Pair]:
    """Every prompt in order."""
    images = {pk: list(rows) for pk, rows in groupby(live_images(study), key=lambda image: image.prompt_id)}
    pairs = []
    for prompt in study.prompts.all():
        there = images.get(prompt.pk, [])
        positions = {image.arm.position for image in there}
        pairs.append(Pair(prompt, there, [letter for place, letter in enumerate("AB") if place not in positions]))
    return pairs


def event_rows(events: Sequence[StudyEvent]) -> list[dict[str, Any]]:
    """Rows of the audit trail, their details in words."""
    return [{"event": event, "lines": _lines(event.detail)} for event in events]


def _lines(detail: dict[str, Any]) -> list[str]:
    changes = detail.get("changes") or {}
    if isinstance(changes, dict):
        lines = [f"{name}: {_shown(old)} → {_shown(new)}" for name, (old, new) in changes.items()]
    else:
        lines = [f"prompt {row['prompt']}: {_shown(row['before'])} → {_shown(row['after'])}" for row in changes]
    if "after" in detail:
        lines.append(f"{_shown(detail.get('before'))} → {_shown(detail['after'])}")
    detail = detail | ({"sha256": detail["sha256"][:12]} if "sha256" in detail else {})
    rest = {name: value for name, value in detail.items() if name not in ("changes", "before", "after")}
    return lines + [str(value) if name == "why" else f"{name}: {_shown(value)}" for name, value in rest.items()]


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return ", ".join(_shown(part) for part in value.values() if part is not None)[:_SHOWN_CHARACTERS]
    text = str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def checkpoint_choices(most: int = 200) -> list[tuple[int, str]]:
    """Runs with a student's checkpoint to compare, newest first."""
    there = Checkpoint.objects.filter(run=OuterRef("pk"), removed=False, superseded=False)
    runs = Run.objects.filter(Exists(there), teacher__isnull=False, archived=False).order_by("-pk")
    return [(run.pk, f"{run.name} (run {run.pk})") for run in runs[:most]]
