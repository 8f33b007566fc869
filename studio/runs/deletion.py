"""Deleting a run with everything that it wrote."""

from __future__ import annotations

import shutil

from django.db import transaction
from django.db.models import ProtectedError

from studio.accounts.audit import audit_record
from studio.accounts.models import AuditAction, User
from studio.jobs.lifecycle import ENDED_STATES, JobState
from studio.jobs.models import Job
from studio.runs.distillation import run_folder
from studio.runs.models import Run
from studio.runs.services import RunRefused, subject_of


def run_delete(run: Run, *, actor: User) -> None:
    """Delete an ended run, its records and its files; a teacher that it trained stays.

    Raises RunRefused for one that has not ended, or that something uses.
    """
    with transaction.atomic():
        job = Job.objects.select_for_update().get(pk=run.pk)
        if job.state not in ENDED_STATES:
            raise RunRefused(f"{run.name} is {JobState(job.state).label}: cancel it before you delete it.")
        subject, folder = subject_of(run), run_folder(run.pk)
        try:
            job.delete()
        except ProtectedError as error:
            users = ", ".join(sorted({f"the study {getattr(row, 'study', row)}" for row in error.protected_objects}))
            raise RunRefused(f"{run.name} is used by {users}: delete that first.") from None
        audit_record(AuditAction.DELETED, actor=actor.get_username(), subject=subject)
        transaction.on_commit(lambda: shutil.rmtree(folder, ignore_errors=True))
