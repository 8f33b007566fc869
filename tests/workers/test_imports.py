"""Imports by the real commands: what a worker makes of good files and of bad ones."""

from __future__ import annotations

import hashlib
import pickle
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from safetensors.torch import save

from simcore.preconditioning import EDMPrecond
from simcore.teacher_card import read_card
from studio.catalog.imports import ImportFacts, import_create
from studio.catalog.models import Dataset, Teacher
from studio.catalog.sampling import teacher_sample
from studio.catalog.storage import entries_folder, upload_path
from studio.celery import LIGHT_QUEUE
from studio.jobs.lifecycle import UserAction
from studio.jobs.models import Job
from studio.jobs.services import job_act
from tests.simcore.datasets.files import as_python, cifar_batches, write_tar, write_zip
from tests.simcore.edm_files import dumps, published, source_that_would_write
from tests.studio.builders import claim
from tests.studio.catalog.conftest import images_zip, own_folders, uploaded
from workers.attempt import run_attempt

__all__ = ["own_folders"]

ADM: dict[str, Any] = {
    "img_resolution": 8, "img_channels": 1, "label_dim": 0, "model_type": "DhariwalUNet", "model_channels": 32,
    "channel_mult": [1, 2], "num_blocks": 1,
}  # fmt: skip


@pytest.fixture
def do(user: Any, redis_server: None) -> Any:
    """Import a file's content as people would; gives the job at its end."""

    def imported(content: bytes, name: str = "file", sha256: str = "", **facts: Any) -> Job:
        upload = uploaded(user, content, name, sha256=sha256)
        import_create(owner=user, upload=upload, facts=ImportFacts(**facts))
        return work()

    return imported


def work() -> Job:
    job = claim("light", LIGHT_QUEUE)
    run_attempt(job, threading.Event())
    return Job.objects.get(pk=job.pk)


@pytest.mark.django_db(transaction=True)
def test_a_published_checkpoint_becomes_a_teacher_that_simcore_reads(do: Any, user: Any, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    denoiser = denoiser_of(ADM)
    content = dumps(published(denoiser, ADM | {"preconditioning": "EDMPrecond"}, source_that_would_write(marker)))
    job = do(content, "edm-tiny.pkl", title="Tiny EDM", licence="CC BY 4.0", source="https://x.org")
    assert (job.state, job.reason) == ("succeeded", "")
    assert not marker.exists()
    teacher = Teacher.objects.get()
    assert (teacher.title, teacher.licence, teacher.owner, teacher.job) == ("Tiny EDM", "CC BY 4.0", user, job)
    assert teacher.source == f"https://x.org (sha256 {hashlib.sha256(content).hexdigest()})"
    assert read_card(teacher.reference).sha256 == teacher.sha256
    assert job.result is not None
    assert job.result["file_sha256"] == hashlib.sha256(content).hexdigest()
    assert not upload_path(job.spec["upload"]).exists()


def test_a_zip_of_images_becomes_a_data_set(do: Any, tmp_path: Path) -> None:
    content = images_zip(tmp_path)
    odd = {"source": "--pipe", "licence": "-h"}  # what people say never passes for an option
    job = do(content, "--out=Shapes & colours.zip", sha256=hashlib.sha256(content).hexdigest(), **odd)
    assert (job.state, job.reason) == ("succeeded", "")
    dataset = Dataset.objects.get()
    card = dataset.read_card()
    assert (dataset.title, card.classes, card.class_counts, card.image_shape) == (
        "--out=Shapes & colours", 2, (10, 10), (3, 8, 8),
    )  # fmt: skip
    assert dataset.sha256 == hashlib.sha256(content).hexdigest()
    assert Path(dataset.reference).name == "out-shapes-colours.zip"
    assert Path(dataset.reference).read_bytes() == content
    assert Path(dataset.samples).read_bytes().startswith(b"\x89PNG")


def test_cifars_archive_in_the_import_folder_stays_where_it_is(user: Any, settings: Any, tmp_path: Path) -> None:
    settings.IMPORT_FOLDER = tmp_path / "shared"
    settings.IMPORT_FOLDER.mkdir()
    file = write_tar(settings.IMPORT_FOLDER / "cifar-10-python.tar.gz", as_python(cifar_batches()))
    import_create(owner=user, path=file.name, facts=ImportFacts(title="CIFAR-10"))
    job = work()
    assert (job.state, job.reason) == ("succeeded", "")
    dataset = Dataset.objects.get()
    assert dataset.reference == str(file)
    assert dataset.read_card().class_names[:2] == ("airplane", "automobile")


class Evil:
    """Unpickling this would run a command."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> Any:
        import os

        return os.system, (f"touch {self._marker}",)


def bad_files(folder: Path) -> dict[str, tuple[bytes, dict[str, Any]]]:
    """What goes wrong, and the reason that people read."""
    good, adm = images_zip(folder), ADM | {"preconditioning": "EDMPrecond"}
    weights = save(denoiser_of(ADM).state_dict())
    bomb = write_zip(folder / "bomb.zip", {"a.png": bytes(60 << 20)}, compression=zipfile.ZIP_DEFLATED).read_bytes()
    damaged = bytearray(good)
    damaged[len(good) // 3] ^= 255
    return {
        "it asks for 'posix.system', which no EDM checkpoint needs": (pickle.dumps(Evil(folder / "executed"), 4), {}),
        "no image does": (bomb, {}),
        "not a zip archive, or it is damaged": (good[: len(good) // 2], {}),
        "cannot import file: cannot read '00004/img00000008.png'": (bytes(damaged), {}),
        "the file does not fit the network": (weights, {"network": adm | {"model_channels": 64}}),
        "its sha256 is": (good, {"sha256": "0" * 64}),
    }


def test_each_bad_file_is_refused_in_one_line_and_leaves_nothing(do: Any, tmp_path: Path) -> None:
    for reason, (content, facts) in bad_files(tmp_path).items():
        job = do(content, "file", **facts)
        assert job.state == "failed", reason
        assert reason in job.reason
        assert len(job.reason.splitlines()) == 1
        assert str(tmp_path) not in job.reason, "where files lie is nobody's business"
    assert not (tmp_path / "executed").exists()
    assert not Teacher.objects.exists()
    assert not Dataset.objects.exists()
    assert not list(entries_folder().iterdir())


def test_a_file_that_is_gone_is_said(do: Any, user: Any, tmp_path: Path) -> None:
    upload = uploaded(user, images_zip(tmp_path), "gone.zip")
    import_create(owner=user, upload=upload, facts=ImportFacts())
    upload_path(upload.pk).unlink()
    job = work()
    assert (job.state, job.reason) == ("failed", "there is no file gone.zip")


def test_an_import_that_was_to_be_cancelled_leaves_nothing(do: Any, user: Any, tmp_path: Path) -> None:
    upload = uploaded(user, images_zip(tmp_path))
    import_create(owner=user, upload=upload, facts=ImportFacts())
    job = claim("light", LIGHT_QUEUE)
    job_act(job, UserAction.CANCEL, actor="ada")
    run_attempt(job, threading.Event())
    job.refresh_from_db()
    assert job.state == "cancelled"
    assert not Dataset.objects.exists()
    assert not list(entries_folder().iterdir())


def test_a_teachers_samples_are_drawn(user: Any, redis_server: None, ada: Client) -> None:
    from studio.catalog.services import bundled_teachers_register

    bundled_teachers_register()
    teacher = Teacher.objects.get(reference="bundled:digits")
    teacher_sample(teacher, user)
    job = work()
    assert (job.state, job.reason) == ("succeeded", "")
    assert job.result == {"count": 40, "nfe": 35}
    answer = ada.get(f"/teachers/{teacher.pk}/samples.png")
    assert answer.content.startswith(b"\x89PNG")


def denoiser_of(config: dict[str, Any]) -> EDMPrecond:
    from tests.simcore.test_import_teacher import denoiser_with_weights

    return denoiser_with_weights(config | {"preconditioning": "EDMPrecond"})
