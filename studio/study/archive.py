"""A zip of images with a manifest that says which is whose: checked whole, and only then taken.

`manifest.csv` has the columns prompt and file; `manifest.json` maps prompts to files. A prompt is named by its number,
from 1, or by its text. Files that the manifest does not name are left out.
"""

from __future__ import annotations

import csv
import io
import json
import uuid
import zipfile
import zlib
from collections.abc import Sequence
from shutil import rmtree
from typing import IO, Any

from django.db import transaction

from simcore.zip_entries import directory_refusal, entry_refusal
from studio.accounts.models import User
from studio.study.encode import MOST_BYTES, canonical
from studio.study.lifecycle import StudyRefused, StudyState
from studio.study.models import Arm, Prompt, Study
from studio.study.pictures import image_put, write_picture
from studio.study.services import require_state, study_locked, study_note
from studio.study.storage import study_folder

MOST_ARCHIVE = 1 << 30  # bytes, packed
MOST_ENTRIES = 2_000
MOST_UNPACKED = 2 << 30  # bytes, of all that is read
MOST_MANIFEST = 4 << 20  # bytes
MANIFESTS = ("manifest.csv", "manifest.json")
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError, ValueError)


def images_upload(study: Study, actor: User, *, position: int, name: str, file: IO[bytes], size: int) -> int:
    """Take an arm's images from an archive, which replace all that it had; returns their number.

    Raises StudyRefused naming the entry that is wrong; nothing has changed then.
    """
    if size > MOST_ARCHIVE:
        raise StudyRefused(f"{name} has {size:,} bytes; at most {MOST_ARCHIVE:,} are taken.", "file")
    prompts = list(study.prompts.all())
    _arm(study, position)
    folder = f"images/upload-{uuid.uuid4().hex}"
    try:
        files = _write(study.pk, folder, prompts, name, file)
        with transaction.atomic():
            study = study_locked(study.pk)
            arm = _arm(study, position)
            if list(study.prompts.all()) != prompts:
                raise StudyRefused("The prompts were changed meanwhile: upload the archive again.", "file")
            for prompt, (path, facts) in zip(prompts, files, strict=True):
                image_put(prompt, arm, path, facts, sampler="uploaded")
            study_note(study, actor.get_username(), f"uploaded {len(files)} images as {arm.label}", file=name[:255])
    except Exception:
        rmtree(study_folder(study.pk) / folder, ignore_errors=True)
        raise
    return len(files)


def _arm(study: Study, position: int) -> Arm:
    require_state(study, "images can be uploaded", StudyState.DRAFT, StudyState.REVIEW)
    arm = study.arms.filter(position=position).first()
    if arm is None or arm.kind != Arm.Kind.UPLOAD:
        raise StudyRefused("Images can be uploaded for an arm of that kind: choose “Uploaded images” first.", "file")
    return arm


def _write(
    study_id: int, folder: str, prompts: Sequence[Prompt], name: str, file: IO[bytes]
) -> list[tuple[str, dict[str, Any]]]:
    """The pictures in the order of the prompts, one by one from archive to disk. Raises StudyRefused."""
    if not prompts:
        raise StudyRefused("The study has no prompts yet: the manifest would have nothing to name.", "file")
    try:
        with _archive(file, name) as archive:
            entries = _entries(archive, name)
            wanted = _manifest(archive, entries, prompts)
            written = []
            for prompt in prompts:
                entry = wanted[prompt.position]
                picture = canonical(_read(archive, entry, MOST_BYTES), f"{name}, entry {entry.filename}")
                path = f"{folder}/{prompt.position + 1}.png"
                write_picture(study_id, path, picture)
                written.append((path, picture.facts))
            return written
    except StudyRefused as refusal:
        raise StudyRefused(str(refusal), "file") from None


def _archive(file: IO[bytes], name: str) -> zipfile.ZipFile:
    """Reads its directory, whose size is looked at first: each entry becomes an object. Raises StudyRefused."""
    try:
        if refusal := directory_refusal(file, MOST_ENTRIES):
            raise StudyRefused(f"{name} {refusal}.")
        return zipfile.ZipFile(file)
    except _BROKEN as error:
        why = " ".join(str(error).split())[:200]
        raise StudyRefused(f"{name} is not a zip archive, or it is damaged ({why}).") from None


def _entries(archive: zipfile.ZipFile, name: str) -> dict[str, zipfile.ZipInfo]:
    """The files in it, by name. Raises StudyRefused for one that leads outside, repeats or claims too much."""
    found: dict[str, zipfile.ZipInfo] = {}
    if len(archive.infolist()) > MOST_ENTRIES:
        raise StudyRefused(f"{name} has {len(archive.infolist()):,} entries; at most {MOST_ENTRIES:,} are read.")
    for entry in archive.infolist():
        if reason := entry_refusal(entry, MOST_BYTES):
            raise StudyRefused(f"{name}: the entry {entry.filename!r} {reason}.")
        if entry.filename in found:
            raise StudyRefused(f"{name}: the entry {entry.filename!r} is there twice.")
        if not entry.is_dir():
            found[entry.filename] = entry
    if (total := sum(entry.file_size for entry in found.values())) > MOST_UNPACKED:
        raise StudyRefused(f"{name} unpacks to {total:,} bytes; at most {MOST_UNPACKED:,} are read.")
    return found


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    """An entry's bytes, whatever it claims. Raises StudyRefused."""
    try:
        with archive.open(entry) as stream:
            content = stream.read(most + 1)
    except _BROKEN as error:
        raise StudyRefused(f"The entry {entry.filename!r} is damaged ({' '.join(str(error).split())[:200]}).") from None
    if len(content) > most:
        raise StudyRefused(f"The entry {entry.filename!r} unpacks to more than {most:,} bytes.")
    return content


# ---- the manifest


def _manifest(
    archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], prompts: Sequence[Prompt]
) -> dict[int, zipfile.ZipInfo]:
    """The entry of every prompt, by position. Raises StudyRefused naming the row that is wrong."""
    there = [name for name in MANIFESTS if name in entries]
    if len(there) != 1:
        raise StudyRefused(f"The archive needs one of {' and '.join(MANIFESTS)} at its root (found: {len(there)}).")
    (name,) = there
    try:
        text = _read(archive, entries[name], MOST_MANIFEST).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise StudyRefused(f"{name} is not UTF-8 text.") from None
    rows = _csv_rows(text) if name.endswith(".csv") else _json_rows(text)
    found: dict[int, zipfile.ZipInfo] = {}
    for where, key, file in rows:
        position = _position(key, prompts, f"{name}, {where}")
        if position in found:
            raise StudyRefused(f"{name}, {where}: prompt {position + 1} is named twice.")
        if file not in entries:
            raise StudyRefused(f"{name}, {where}: there is no file {file!r} in the archive.")
        found[position] = entries[file]
    if missing := [prompt.position + 1 for prompt in prompts if prompt.position not in found]:
        shown = ", ".join(map(str, missing[:10])) + ("…" if len(missing) > 10 else "")
        raise StudyRefused(f"{name} names no file for prompt {shown}: each of the {len(prompts)} needs one.")
    return found


def _position(key: str, prompts: Sequence[Prompt], where: str) -> int:
    if key.isascii() and key.isdigit() and len(key) < 7:
        if not 1 <= int(key) <= len(prompts):
            raise StudyRefused(f"{where}: there is no prompt {int(key)}; they are numbered 1 to {len(prompts)}.")
        return int(key) - 1
    same = [prompt.position for prompt in prompts if prompt.text == key]
    if len(same) != 1:
        what = f"several prompts read {key[:80]!r}: give its number" if same else f"no prompt reads {key[:80]!r}"
        raise StudyRefused(f"{where}: {what}.")
    return same[0]


def _csv_rows(text: str) -> list[tuple[str, str, str]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        if not {"prompt", "file"} <= set(reader.fieldnames or ()):
            raise StudyRefused("manifest.csv, line 1: the header needs the columns prompt and file.")
        return [
            (f"line {reader.line_num}", (row["prompt"] or "").strip(), (row["file"] or "").strip())
            for row in reader
            if any(row.values())
        ]
    except csv.Error as error:
        raise StudyRefused(f"manifest.csv, line {reader.line_num}: this is not CSV ({error}).") from None


def _json_rows(text: str) -> list[tuple[str, str, str]]:
    try:
        given: Any = json.loads(text, object_pairs_hook=list)  # a key that is there twice stays twice
    except (ValueError, RecursionError) as error:
        raise StudyRefused(f"manifest.json is not JSON ({str(error)[:200]}).") from None
    rows = given if isinstance(given, list) else []
    if not rows or not all(isinstance(row, tuple) and isinstance(row[1], str) for row in rows):
        raise StudyRefused('manifest.json should map prompts to files, as in {"1": "first.png", "2": "second.png"}.')
    return [(f"entry {number}", key.strip(), file) for number, (key, file) in enumerate(rows, start=1)]
