"""The files that a run's records name."""

from __future__ import annotations

from pathlib import Path

from django.http import Http404

from studio.runs.distillation import run_folder


def run_file(run_id: int, name: str) -> Path:
    """A file of the run. A name that leads elsewhere, whoever wrote it, is no file of the run: raises Http404."""
    path = (run_folder(run_id) / name).resolve()
    if not (path.is_relative_to(run_folder(run_id).resolve()) and path.is_file()):
        raise Http404("The file is gone from the studio's data folder.")
    return path
