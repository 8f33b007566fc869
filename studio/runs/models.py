"""Runs, and what they leave behind. A run is a job that trains."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from studio.catalog.models import Teacher
from studio.jobs.models import Job


class Run(models.Model):
    """A distillation: its name, its teacher, the preset it started from. State and spec are the job's."""

    job = models.OneToOneField(Job, on_delete=models.CASCADE, primary_key=True, related_name="run")
    name = models.CharField(max_length=200)
    preset = models.CharField(max_length=100)
    teacher = models.ForeignKey(Teacher, on_delete=models.PROTECT, related_name="runs")

    def __str__(self) -> str:
        return self.name


class Record(models.Model):
    """Something a run recorded at a step of an attempt.

    After an attempt resumes from step s, what earlier attempts recorded past s is superseded: kept, but not shown.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="%(class)ss")
    attempt = models.PositiveIntegerField()
    step = models.PositiveBigIntegerField()
    superseded = models.BooleanField(default=False)

    class Meta:
        abstract = True


class Metric(Record):
    """One point of one series."""

    name = models.CharField(max_length=60)
    value = models.FloatField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["run", "name", "step"], condition=Q(superseded=False), name="metric_once_a_step"
            ),
        )

    def __str__(self) -> str:
        return f"{self.name}[{self.step}] = {self.value}"


class SampleGrid(Record):
    """A picture of samples from the run's fixed latents. `path` is relative to the run's folder."""

    source = models.CharField(max_length=20)
    path = models.CharField(max_length=300)
    count = models.PositiveIntegerField()
    columns = models.PositiveIntegerField()
    nfe = models.PositiveIntegerField()

    class Meta:
        ordering = ("step", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["run", "source", "step"], condition=Q(superseded=False), name="sample_grid_once_a_step"
            ),
        )

    def __str__(self) -> str:
        return f"{self.source} samples at step {self.step}"


class Checkpoint(Record):
    """A training state on disk. `path` is relative to the run's folder."""

    path = models.CharField(max_length=300)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    kept = models.BooleanField(default=False, help_text="Something uses it: it is never removed.")
    removed = models.BooleanField(default=False, help_text="Its file was removed to save space.")

    class Meta:
        ordering = ("step", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["run", "step"], condition=Q(superseded=False), name="checkpoint_once_a_step"
            ),
        )

    def __str__(self) -> str:
        return f"checkpoint at step {self.step}"


class Evaluation(Record):
    """Figures of merit of the student at a step, or of the teacher."""

    source = models.CharField(max_length=20)
    values = models.JSONField()
    samples = models.PositiveIntegerField()
    nfe = models.PositiveIntegerField()

    class Meta:
        ordering = ("step", "pk")

    def __str__(self) -> str:
        return f"evaluation of the {self.source} at step {self.step}"
