"""What requests can find: runs, a group, a worker, an import, the catalogue, studies. Runs inside a studio."""

from __future__ import annotations

from pathlib import Path

from studio.accounts.models import User
from studio.catalog.imports import ImportFacts, import_create
from studio.catalog.models import Dataset, Teacher
from studio.catalog.uploads import upload_store
from studio.jobs.models import Job
from studio.pool.needs import GIB
from studio.pool.services import DeviceReading, worker_announce
from studio.runs.distillation import run_folder
from studio.runs.models import Checkpoint, Evaluation, Metric, Run, RunGroup, SampleGrid
from tests.launch import launch
from tests.studio.study.builders import draft_study, participate, review_study, study_with


def record_something() -> None:
    """As a trainer would have, had it run."""
    run_id = launch({})
    Job.objects.filter(pk=run_id).update(state="paused", step=10, total_steps=100)
    common = {"run_id": run_id, "attempt": 1, "step": 10}
    _write(run_id, "grid.png", b"\x89PNG\r\n\x1a\n picture")
    _write(run_id, "10.safetensors", b"weights")
    SampleGrid.objects.create(**common, source="student", path="grid.png", count=64, columns=8, nfe=1)
    Checkpoint.objects.create(**common, path="10.safetensors", size=7, sha256="0" * 64)
    Evaluation.objects.create(**common, source="student", values={"frechet": 2.5}, samples=100, nfe=1)
    Metric.objects.create(**common, name="student_loss", value=0.5)
    waiting = launch({})
    owner = Job.objects.get(pk=waiting).owner
    group = RunGroup.objects.create(name="sweep", kind=RunGroup.Kind.SWEEP, owner=owner, cells=["a"])
    Run.objects.filter(pk=run_id).update(group=group, cell="a")
    _fill_catalogue(owner)
    _fill_studies(owner)
    device = DeviceReading("GPU-1", "cuda", "H100", 80 * GIB)
    worker_announce(name="worker", queues=["runs", "light"], devices=[device])


def _fill_catalogue(owner: User) -> None:
    """An import that waits; a teacher and a data set of somebody's own, with pictures."""
    archive = b"PK\x03\x04" + bytes(996)
    upload = upload_store(owner=owner, name="images.zip", size=len(archive), chunks=[archive])
    import_create(owner=owner, facts=ImportFacts(), upload=upload)
    digits, teacher = Dataset.objects.get(reference="digits"), Teacher.objects.get(reference="bundled:digits")
    mine = {"owner": owner, "title": "Mine", "sha256": "1" * 64, "samples": digits.samples}
    Dataset.objects.create(reference="/mine.zip", card=digits.card, **mine)
    Teacher.objects.create(reference="/mine", card=teacher.card, **mine)


def _fill_studies(owner: User) -> None:
    """One of each kind: a draft, one in review with its files, an open one with votes."""
    draft_study(owner)
    review_study(owner, prompts=2)
    participate(study_with(owner, prompts=2, checks=1, no_preference=True), "0-", checks="+")


def _write(run_id: int, name: str, content: bytes) -> None:
    path: Path = run_folder(run_id) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
