"""Runs, and what they leave behind. A run is a job that trains."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from studio.catalog.models import Dataset, Teacher
from studio.jobs.models import Job


class RunGroup(models.Model):
    """Runs that were launched together to be compared: the grid of a sweep, or the paper's ablation.

    `axes` lists {"path", "label", "values"} of each axis; `cells` the names of the grid's cells, in order.
    """

    class Kind(models.TextChoices):
        SWEEP = "sweep", "Sweep"
        ABLATION = "ablation", "Figure 2 ablation"

    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="run_groups")
    axes = models.JSONField(default=list)
    cells = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return self.name


class Run(models.Model):
    """A job that trains: it distils its `teacher`, or trains a new one on its `dataset`.

    State and spec are the job's. `preset` is where a distillation's settings came from.
    """

    job = models.OneToOneField(Job, on_delete=models.CASCADE, primary_key=True, related_name="run")
    name = models.CharField(max_length=200)
    preset = models.CharField(max_length=100, blank=True, default="")
    teacher = models.ForeignKey(Teacher, on_delete=models.PROTECT, null=True, blank=True, related_name="runs")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, null=True, blank=True, related_name="runs")
    group = models.ForeignKey(RunGroup, on_delete=models.PROTECT, null=True, blank=True, related_name="runs")
    cell = models.CharField(max_length=200, blank=True, default="")
    notes = models.TextField(blank=True, default="")
    archived = models.BooleanField(default=False)
    demo = models.BooleanField(default=False, help_text="Queued by the studio itself on its first start.")
    series = models.JSONField(default=list, help_text="Names of the series that it has recorded.")
    rolled_up = models.PositiveBigIntegerField(default=0, help_text="Points of steps below this also stand in blocks.")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["demo"], condition=Q(demo=True), name="run_demo_once"),
            models.CheckConstraint(
                name="run_of_a_teacher_or_on_a_dataset",
                condition=Q(teacher__isnull=False, dataset__isnull=True)
                | Q(teacher__isnull=True, dataset__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def measured_on(self) -> str:
        """Reference of the data set by whose figures it is judged."""
        if self.teacher is not None:
            return str(self.teacher.card["dataset"])
        assert self.dataset is not None
        return self.dataset.reference


class RunTag(models.Model):
    """A word by which people find a run again."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="tags")
    name = models.CharField(max_length=40)

    class Meta:
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=["run", "name"], name="run_tag_once"),)
        indexes = (models.Index(fields=["name"], name="run_tag_name"),)

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


class MetricBlock(models.Model):
    """What `size` consecutive steps of one series come to, from step `start` on; only whole blocks are stored."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="metric_blocks")
    name = models.CharField(max_length=60)
    size = models.PositiveIntegerField()
    start = models.PositiveBigIntegerField()
    first = models.PositiveBigIntegerField(help_text="The first step in it that has a point.")
    least = models.FloatField()
    greatest = models.FloatField()
    total = models.FloatField(help_text="Sum of the values.")
    count = models.PositiveIntegerField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["run", "size", "name", "start"], name="metric_block_once"),)

    def __str__(self) -> str:
        return f"{self.name}[{self.start} … {self.start + self.size - 1}]"


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
