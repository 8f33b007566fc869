from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from studio.accounts.models import Role, User
from studio.catalog.models import Dataset, Upload
from studio.catalog.services import bundled_teachers_register
from studio.catalog.uploads import upload_append, upload_create
from tests.simcore.datasets.files import labels_file, named, pairs, random_pixels, write_zip


@pytest.fixture(autouse=True)
def own_folders(settings: Any, tmp_path: Path) -> None:
    """Uploads, entries and runs of each test in a folder of its own."""
    settings.DATA = tmp_path / "data"
    settings.DATA.mkdir()
    settings.RUNS_FOLDER = settings.DATA / "runs"


@pytest.fixture
def catalogue(db: None) -> None:
    """What ships with the studio is entered."""
    bundled_teachers_register()


@pytest.fixture
def stranger(db: None) -> Client:
    """A browser of another researcher."""
    client = Client()
    client.force_login(User.objects.create_user("eve", password="x", role=Role.RESEARCHER))
    return client


@pytest.fixture
def viewer(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("vic", password="x", role=Role.VIEWER))
    return client


def uploaded(owner: User, content: bytes, name: str = "file.zip", **more: Any) -> Upload:
    """A complete upload."""
    upload = upload_create(owner=owner, name=name, size=len(content), **more)
    return upload_append(upload.pk, owner, offset=0, part=io.BytesIO(content), length=len(content))


def images_zip(folder: Path, seed: int = 0, count: int = 20) -> bytes:
    """A small labelled data set in EDM's layout."""
    files = named(random_pixels(count, seed=seed))
    labels = labels_file(pairs(list(files), [number % 2 for number in range(count)]))
    return write_zip(folder / f"images-{seed}.zip", {**files, "dataset.json": labels}).read_bytes()


def some_dataset(owner: User | None = None, **changes: Any) -> Dataset:
    """An entry like the bundled digits, under another reference."""
    bundled_teachers_register()
    known = Dataset.objects.get(reference="digits")
    facts = {"reference": "/elsewhere.zip", "title": "Mine", "owner": owner, "card": known.card, "sha256": "1" * 64}
    return Dataset.objects.create(**(facts | changes))
