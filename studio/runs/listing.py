"""Which runs the list shows, and in which order: everything stands in the address."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any
from urllib.parse import urlencode

from django.db.models import F, Q, QuerySet
from django.http import QueryDict

from studio.accounts.models import User
from studio.catalog.models import Teacher
from studio.jobs.lifecycle import JobState
from studio.runs.distillation import DISTILLATION, TEACHER_TRAINING, TRAINING_KINDS
from studio.runs.headline import with_headline
from studio.runs.models import Run, RunTag
from studio.runs.rows import OBJECTIVE_LABELS

SORTS = {
    "name": "name",
    "state": "job__state",
    "progress": "job__step",
    "figure": "figure",
    "age": "-pk",
    "owner": "job__owner__username",
}
KINDS = ((DISTILLATION.name, "Distillations"), (TEACHER_TRAINING.name, "Training of teachers"))
LONGEST = 500  # characters of a value; databases refuse patterns beyond some length
ARCHIVED = (("", "Without archived"), ("only", "Archived only"), ("all", "All, archived too"))


@dataclass(frozen=True)
class RunFilter:
    """What was asked for; a value that means nothing filters nothing. `sort` may begin with a minus."""

    q: str = ""
    state: str = ""
    owner: str = ""
    teacher: str = ""
    kind: str = ""
    preset: str = ""
    objective: str = ""
    tag: str = ""
    group: str = ""
    archived: str = ""
    sort: str = ""

    @property
    def active(self) -> bool:
        """Something is asked for beyond the newest runs."""
        return any(asdict(self).values())

    @property
    def more(self) -> bool:
        """One of the filters that are folded away is in use."""
        return any((self.owner, self.teacher, self.kind, self.preset, self.objective, self.tag, self.archived))

    def query(self, **changes: str) -> str:
        """As part of an address."""
        return urlencode({name: value for name, value in {**asdict(self), **changes}.items() if value})


def read_filter(query: QueryDict) -> RunFilter:
    """From an address. PostgreSQL refuses NUL in a text."""
    return RunFilter(
        **{field.name: query.get(field.name, "").replace("\0", "").strip()[:LONGEST] for field in fields(RunFilter)}
    )


def filtered_runs(chosen: RunFilter) -> QuerySet[Run]:
    """The runs asked for, in the order asked for, with all that a row needs."""
    runs = Run.objects.select_related("job__owner", "teacher", "dataset", "group").prefetch_related("tags")
    runs = runs.filter(**_exact(chosen))
    if chosen.q:
        runs = runs.filter(
            Q(name__icontains=chosen.q)
            | Q(teacher__title__icontains=chosen.q)
            | Q(dataset__title__icontains=chosen.q)
            | Q(notes__icontains=chosen.q)
            | Q(pk__in=RunTag.objects.filter(name__icontains=chosen.q).values("run"))
        )
    return _sorted(runs, chosen.sort)


def _exact(chosen: RunFilter) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if chosen.state in JobState.values:
        wanted["job__state"] = chosen.state
    if chosen.owner:
        wanted["job__owner__username"] = chosen.owner
    if _is_id(chosen.teacher):
        wanted["teacher"] = int(chosen.teacher)
    if _is_id(chosen.group):
        wanted["group"] = int(chosen.group)
    if chosen.kind in TRAINING_KINDS:
        wanted["job__kind"] = chosen.kind
    if chosen.preset:
        wanted["preset"] = chosen.preset
    if chosen.objective in OBJECTIVE_LABELS:
        wanted["job__spec__objective__name"] = chosen.objective
    if chosen.tag:
        wanted["tags__name"] = chosen.tag
    if chosen.archived != "all":
        wanted["archived"] = chosen.archived == "only"
    return wanted


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _sorted(runs: QuerySet[Run], sort: str) -> QuerySet[Run]:
    name = sort.removeprefix("-")
    if name not in SORTS:
        return runs.order_by("-pk")
    if name == "figure":
        runs = with_headline(runs)
    column = SORTS[name]
    key = F(column.removeprefix("-"))
    downward = column.startswith("-") != sort.startswith("-")
    return runs.order_by(key.desc(nulls_last=True) if downward else key.asc(nulls_last=True), "-pk")


def columns(chosen: RunFilter) -> dict[str, dict[str, str]]:
    """For the table's heads: the address that sorts by each column, and how it is sorted now."""
    heads = {}
    for name in SORTS:
        upward = chosen.sort == name
        now = "ascending" if upward else "descending" if chosen.sort == f"-{name}" else ""
        heads[name] = {"query": chosen.query(sort=f"-{name}" if upward else name), "now": now}
    return heads


def choices() -> dict[str, Any]:
    """What can be filtered by."""
    return {
        "states": JobState.choices,
        "owners": list(User.objects.filter(jobs__run__isnull=False).distinct().order_by("username")),
        "teachers": list(Teacher.objects.filter(runs__isnull=False).distinct().order_by("title")),
        "presets": list(Run.objects.exclude(preset="").order_by("preset").values_list("preset", flat=True).distinct()),
        "objectives": OBJECTIVE_LABELS.items(),
        "kinds": KINDS,
        "tags": list(RunTag.objects.order_by("name").values_list("name", flat=True).distinct()),
        "archived": ARCHIVED,
    }
