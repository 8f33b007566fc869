"""Where the catalogue's files lie. Every name below the data folder is ours."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from django.conf import settings
from django.template.defaultfilters import filesizeformat

from studio.catalog.refusals import NoSpace

KEEP_FREE = 512 << 20  # bytes that uploads leave for the database and the runs


def uploads_folder() -> Path:
    return Path(settings.DATA) / "uploads"


def entries_folder() -> Path:
    """Imported and trained teachers and data sets, one folder for each attempt of its job."""
    return Path(settings.DATA) / "catalog"


def upload_path(upload_id: uuid.UUID) -> Path:
    return uploads_folder() / str(upload_id)


def entry_folder(job_id: int, attempt: int) -> Path:
    return entries_folder() / f"{job_id}-{attempt}"


def remove_entry_files(folder: str) -> None:
    """Remove an entry's own folder; a file that an administrator shared is not in it and stays."""
    if folder:
        shutil.rmtree(entries_folder() / folder, ignore_errors=True)


def require_space(wanted: int, promised: int) -> None:
    """Raises NoSpace unless `wanted` more bytes fit beside those `promised` to unfinished uploads."""
    uploads_folder().mkdir(parents=True, exist_ok=True)
    free = max(0, shutil.disk_usage(uploads_folder()).free - promised - KEEP_FREE)
    if wanted > free:
        raise NoSpace(
            f"There is no room for it: it has {filesizeformat(wanted)}, and uploads may still take "
            f"{filesizeformat(free)} of the studio's disk. Delete what is no longer needed, or ask an administrator."
        )
