"""What the catalogue's pages show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.urls import reverse

from simcore.figures import Figure, figures_of
from simcore.file_kinds import SUFFIXES
from simcore.teacher_card import TeacherCard
from studio.accounts.models import User
from studio.catalog.imports import IMPORT_DATASET, IMPORT_TEACHER
from studio.catalog.models import Dataset, Entry, Teacher, Upload
from studio.catalog.sampling import sampling_of
from studio.jobs.lifecycle import ENDED_STATES, JobState
from studio.jobs.models import Job
from studio.runs.models import Run, SampleGrid

IMPORT_KINDS = (IMPORT_TEACHER.name, IMPORT_DATASET.name)
SHOWN_RUNS = 20


def shape_text(shape: Sequence[int]) -> str:
    """As in "32×32 RGB"."""
    channels, height, width = shape
    if height == width == 1:
        return "points in the plane" if channels == 2 else f"points in {channels} dimensions"
    return f"{width}×{height} {({1: 'grey', 3: 'RGB'}).get(channels, f'{channels} channels')}"


# ---- teachers


def teachers() -> QuerySet[Teacher]:
    """All teachers with the number of their runs, and the sample grid of a run in case they have none of their own."""
    grids = SampleGrid.objects.filter(run__teacher=OuterRef("pk"), source="teacher", superseded=False).order_by("-pk")
    return (
        Teacher.objects.select_related("owner", "dataset")
        .annotate(run_count=Count("runs"))
        .annotate(grid=Subquery(grids.values("pk")[:1]), grid_run=Subquery(grids.values("run_id")[:1]))
        .order_by("title", "pk")
    )


def teacher_row(teacher: Teacher) -> dict[str, Any]:
    """A row of the list; `teacher` comes from `teachers`."""
    card = teacher.read_card()
    values = card.evaluation.values if card.evaluation else {}
    headline = figures_of(card.dataset)[0]
    return {
        "entry": teacher,
        "url": reverse("catalog:teacher", args=(teacher.pk,)),
        "picture": _teacher_picture(teacher),
        "shape": shape_text(card.image_shape),
        "classes": card.label_dim,
        "parameters": card.parameters,
        "headline": headline,
        "value": headline.show(values[headline.name]) if headline.name in values else "",
        "run_count": teacher.run_count,  # type: ignore[attr-defined]
    }


def _teacher_picture(teacher: Any) -> str:
    if teacher.samples:
        return reverse("catalog:teacher-samples", args=(teacher.pk,)) + f"?{_version(teacher)}"
    return reverse("runs:sample", args=(teacher.grid_run, teacher.grid)) if teacher.grid else ""


def teacher_detail(teacher: Teacher) -> dict[str, Any]:
    """The context of a teacher's page."""
    card = teacher.read_card()
    low, high = teacher.sigma_range
    sampling = sampling_of(teacher)
    drawing = sampling is not None and sampling.state not in ENDED_STATES
    runs = Run.objects.filter(teacher=teacher).select_related("job").order_by("-pk")[:SHOWN_RUNS]
    return {
        **teacher_row(teacher),
        "network": card.config.get("model_type", ""),
        "preconditioning": card.config.get("preconditioning", ""),
        "sigma_min": f"{low:.4g}",
        "sigma_max": f"{high:.4g}",
        "evaluation": card.evaluation,
        "figures": _figures(card),
        "dataset_name": card.dataset if teacher.dataset is None and not card.dataset.startswith("/") else "",
        "command": card.command,
        "runs": _run_rows(runs),
        "trained_by": Run.objects.filter(pk=teacher.job_id).first(),
        "drawing": drawing,
        "drawing_failed": sampling.reason if sampling and sampling.state == JobState.FAILED else "",
    }


def _run_rows(runs: QuerySet[Run]) -> list[dict[str, Any]]:
    return [{"id": run.pk, "name": run.name, "state": run.job.state, "label": _label(run.job)} for run in runs]


def _figures(card: TeacherCard) -> list[tuple[Figure, str]]:
    values = card.evaluation.values if card.evaluation else {}
    return [(figure, figure.show(values[figure.name])) for figure in figures_of(card.dataset) if figure.name in values]


# ---- data sets


def datasets() -> QuerySet[Dataset]:
    """All data sets with the number of their teachers."""
    return Dataset.objects.select_related("owner").annotate(teacher_count=Count("teachers")).order_by("title", "pk")


def dataset_row(dataset: Dataset) -> dict[str, Any]:
    """A row of the list; `dataset` comes from `datasets`."""
    card = dataset.read_card()
    return {
        "entry": dataset,
        "url": reverse("catalog:dataset", args=(dataset.pk,)),
        "picture": reverse("catalog:dataset-samples", args=(dataset.pk,)) if dataset.samples else "",
        "shape": shape_text(card.image_shape),
        "classes": card.classes,
        "count": card.train_count + card.heldout_count,
        "teacher_count": dataset.teacher_count,  # type: ignore[attr-defined]
    }


def dataset_detail(dataset: Dataset) -> dict[str, Any]:
    """The context of a data set's page."""
    card = dataset.read_card()
    runs = Run.objects.filter(dataset=dataset).select_related("job").order_by("-pk")
    names = zip_longest(range(card.classes), card.class_names, card.class_counts)
    most = max(card.class_counts, default=1)
    return {
        **dataset_row(dataset),
        "train_count": card.train_count,
        "heldout_count": card.heldout_count,
        "split": card.split,
        "size": card.size,
        "kind": SUFFIXES.get(card.kind, "bundled"),  # type: ignore[call-overload]
        "in_place": bool(dataset.owner_id) and not dataset.reference.startswith(_own_folder(dataset)),
        "class_rows": [
            {"name": name or str(number), "count": count or 0, "share": round(100 * (count or 0) / most)}
            for number, name, count in names
        ],
        "teachers": list(dataset.teachers.order_by("title")),
        "training": _run_rows(runs[:SHOWN_RUNS]),
        "users": dataset.teacher_count or runs.exists(),  # type: ignore[attr-defined]
    }


def _own_folder(dataset: Dataset) -> str:
    return dataset.samples.removesuffix("/samples.png") or "/"


# ---- imports


@dataclass(frozen=True)
class ImportRow:
    """An import and what came of it."""

    id: int
    name: str
    what: str
    owner: str
    owner_id: int
    state: str
    state_label: str
    created: Any
    running: bool
    verdict: str
    entry: Entry | None
    url: str


def imports() -> QuerySet[Job]:
    """The imports' jobs, newest first."""
    return Job.objects.filter(kind__in=IMPORT_KINDS).select_related("owner").order_by("-pk")


def import_rows(jobs: Sequence[Job]) -> list[ImportRow]:
    """Rows in the order of `jobs`: two queries for any number."""
    wanted = {job.pk: ((job.result or {}).get("card") or {}).get("sha256", "") for job in jobs}
    hashes = set(wanted.values()) - {""}
    found: dict[tuple[str, str], Entry] = {
        (IMPORT_TEACHER.name, entry.sha256): entry for entry in Teacher.objects.filter(sha256__in=hashes)
    }
    found |= {(IMPORT_DATASET.name, entry.sha256): entry for entry in Dataset.objects.filter(sha256__in=hashes)}
    return [_import_row(job, found.get((job.kind, wanted[job.pk]))) for job in jobs]


def _import_row(job: Job, entry: Entry | None) -> ImportRow:
    page = "catalog:teacher" if job.kind == IMPORT_TEACHER.name else "catalog:dataset"
    return ImportRow(
        id=job.pk,
        name=job.spec["name"],
        what="teacher" if job.kind == IMPORT_TEACHER.name else "data set",
        owner=job.owner.get_username(),
        owner_id=job.owner_id,
        state=job.state,
        state_label=_label(job),
        created=job.created_at,
        running=job.state not in (*ENDED_STATES, JobState.PAUSED),
        verdict=_verdict(job, entry),
        entry=entry,
        url=reverse(page, args=(entry.pk,)) if entry else "",
    )


def _verdict(job: Job, entry: Entry | None) -> str:
    if job.state != JobState.SUCCEEDED:
        return job.reason
    if entry is None:
        return "Imported, and deleted since."
    return "Imported as" if entry.job_id == job.pk else "Not imported again: it is already in the catalogue as"


def unfinished_uploads(owner: User) -> list[Upload]:
    """A person's uploads whose import has not begun, newest first."""
    return list(Upload.objects.filter(owner=owner, job=None))


def _label(job: Job) -> str:
    return str(JobState(job.state).label)


def _version(teacher: Teacher) -> str:
    """New samples get a new address, so that browsers may keep pictures for ever."""
    return teacher.samples.rsplit("/", 2)[-2]
