"""Files that people send, in parts, so that an upload goes on after a lost connection or a reload.

Create with name and size, append parts at the offset that the studio names, then import (`imports.import_create`).
"""

from __future__ import annotations

import io
import re
import shutil
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, Sum
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from simcore.file_kinds import HEAD, UnknownFile, file_kind
from studio.accounts.models import User
from studio.catalog.models import Dataset, Teacher, Upload
from studio.catalog.refusals import Conflict, NoSpace, Refused, TooLarge, WrongOffset, WrongType
from studio.catalog.storage import entries_folder, require_space, upload_path, uploads_folder
from studio.jobs.lifecycle import ENDED_STATES, JobState

MOST_BYTES_A_PART = 16 << 20
ABANDONED_AFTER = timedelta(hours=24)
_SHA256 = re.compile(r"[0-9a-f]{64}")


def upload_create(*, owner: User, name: str, size: int, sha256: str = "") -> Upload:
    """Begin an upload. Raises Refused where it cannot end well: too large, no room, already in the catalogue."""
    name, sha256 = name.replace("\0", "").strip(), sha256.strip().lower()
    if not 1 <= len(name) <= 255:
        raise Refused("The file needs a name of at most 255 characters.")
    if sha256 and not _SHA256.fullmatch(sha256):
        raise Refused("sha256 is written as 64 hexadecimal digits.")
    if size < 1:
        raise Refused(f"{name} is empty.")
    limit = settings.UPLOAD_LIMIT
    if size > limit:
        raise TooLarge(
            f"{name} has {filesizeformat(size)}; at most {filesizeformat(limit)} are taken. An administrator can raise "
            "SIMSTUDIO_UPLOAD_LIMIT, or put the file into the import folder."
        )
    refuse_known(sha256)
    with transaction.atomic():
        promised = Upload.objects.filter(job=None).aggregate(sum=Sum(F("size") - F("offset")))["sum"] or 0
        require_space(size, promised)
        upload = Upload.objects.create(owner=owner, name=name, size=size, sha256=sha256)
        upload_path(upload.pk).touch()
    return upload


def refuse_known(file_sha256: str) -> None:
    """Raises Conflict naming the data set that this very file is already."""
    if file_sha256 and (known := Dataset.objects.filter(sha256=file_sha256).first()):
        raise Conflict(f"This file is already in the catalogue, as the data set {known.title}.")


def upload_append(upload_id: uuid.UUID, owner: User, *, offset: int, part: IO[bytes], length: int) -> Upload:
    """Store the next `length` bytes. What was sent before stays as it is whatever goes wrong.

    Raises Upload.DoesNotExist for somebody else's, WrongOffset, TooLarge, NoSpace, WrongType.
    """
    if length > MOST_BYTES_A_PART:
        raise TooLarge(f"A part has at most {MOST_BYTES_A_PART:,} bytes (given: {length:,}).")
    with transaction.atomic():
        upload = Upload.objects.select_for_update().get(pk=upload_id, owner=owner)
        if upload.job_id is not None:
            raise Conflict(f"{upload.name} is complete, and its import has begun.")
        if offset != upload.offset:
            raise WrongOffset(upload.offset, offset)
        if offset + length > upload.size:
            raise TooLarge(f"{upload.name} was announced with {upload.size:,} bytes, and this would make it longer.")
        upload.offset += _write(upload, part, length)
        wrong = _recognise(upload)
        upload.save()
    if wrong:
        upload_discard(upload)
        raise wrong
    return upload


def _write(upload: Upload, part: IO[bytes], length: int) -> int:
    """The number of bytes that arrived: fewer than announced where the connection broke."""
    try:
        with upload_path(upload.pk).open("r+b") as file:
            file.seek(upload.offset)
            written = file.write(part.read(length))
            file.truncate()  # what an interrupted part left
            return written
    except FileNotFoundError:
        raise Conflict(f"The beginning of {upload.name} is gone from the studio's disk: upload it again.") from None
    except OSError as error:
        raise NoSpace(f"The studio's disk cannot take more of {upload.name} ({error.strerror}).") from None


def _recognise(upload: Upload) -> WrongType | None:
    if upload.kind or (upload.offset < HEAD and not upload.complete):
        return None
    with upload_path(upload.pk).open("rb") as file:
        try:
            upload.kind = file_kind(file.read(HEAD))
        except UnknownFile as error:
            return WrongType(f"{upload.name} is nothing that can be imported: {error}.")
    return None


def upload_store(*, owner: User, name: str, size: int, chunks: Iterable[bytes]) -> Upload:
    """A whole file at once, from a form. Raises Refused, and keeps nothing then."""
    upload = upload_create(owner=owner, name=name, size=size)
    try:
        for chunk in chunks:
            part = io.BytesIO(chunk)
            upload = upload_append(upload.pk, owner, offset=upload.offset, part=part, length=len(chunk))
    except WrongType:  # which discards by itself
        raise
    except Refused:
        upload_discard(upload)
        raise
    return upload


def upload_discard(upload: Upload) -> None:
    """Forget an upload and its bytes. Raises Conflict where its import has begun."""
    if upload.job_id is not None:
        raise Conflict(f"{upload.name} is being imported.")
    path = upload_path(upload.pk)
    upload.delete()
    path.unlink(missing_ok=True)


def leftovers_remove() -> int:
    """Remove abandoned uploads, those whose import ended, and folders of imports that came to nothing.

    A failed import keeps its file as long as an abandoned upload, so that it can be tried again. Returns how many.
    """
    before = timezone.now() - ABANDONED_AFTER
    done = Q(job__state=JobState.SUCCEEDED) | Q(job__state__in=ENDED_STATES, job__finished_at__lt=before)
    gone = [upload.pk for upload in Upload.objects.filter(done | Q(job=None, touched_at__lt=before))]
    Upload.objects.filter(pk__in=gone).delete()
    kept = {str(pk) for pk in Upload.objects.values_list("pk", flat=True)}
    kept |= _folders_of(Teacher) | _folders_of(Dataset)
    old = [upload_path(pk) for pk in gone]
    old += [path for folder in (uploads_folder(), entries_folder()) for path in _older(folder, before)]
    removed = [path for path in dict.fromkeys(old) if path.name not in kept and path.exists()]
    for path in removed:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    return len(removed)


def _folders_of(model: type[Teacher] | type[Dataset]) -> set[str]:
    """Their own, and those of pictures that were drawn later."""
    rows = model._default_manager.values_list("folder", "samples")
    return {name for folder, samples in rows for name in (folder, Path(samples).parent.name)}


def _older(folder: Path, moment: datetime) -> list[Path]:
    paths = folder.iterdir() if folder.is_dir() else ()
    return [path for path in paths if path.stat().st_mtime < moment.timestamp()]
