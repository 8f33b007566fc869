"""Teachers that runs may distil, data sets, and files on their way in."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from simcore.dataset_card import DatasetCard
from simcore.noise_levels import teacher_sigma_range
from simcore.teacher_card import TeacherCard
from studio.jobs.models import Job


class Entry(models.Model):
    """What teachers and data sets have in common. Without an owner it ships with the studio."""

    reference = models.CharField(max_length=500, unique=True)
    title = models.CharField(max_length=200)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT)
    licence = models.CharField(max_length=500, blank=True, default="")
    source = models.TextField(blank=True, default="")
    sha256 = models.CharField(max_length=64, blank=True, default="")
    card = models.JSONField()
    folder = models.CharField(max_length=100, blank=True, default="")  # of its own files; empty: it has none
    samples = models.CharField(max_length=500, blank=True, default="")  # path of a picture; empty: none yet
    job = models.OneToOneField(Job, null=True, blank=True, on_delete=models.SET_NULL)  # which imported or trained it
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True
        ordering = ("title", "pk")
        constraints = (models.UniqueConstraint(fields=["sha256"], condition=~Q(sha256=""), name="%(class)s_once"),)

    def __str__(self) -> str:
        return self.title


class Dataset(Entry):
    """A data set in the catalogue; `sha256` is its file's. `title` names it for people, `reference` for simcore."""

    def read_card(self) -> DatasetCard:
        """The card, typed."""
        return DatasetCard.model_validate(self.card)


class Teacher(Entry):
    """A teacher in the catalogue. Only what stands here can be named by a run. `sha256` is that of its weights."""

    description = models.TextField(blank=True)
    dataset = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.PROTECT, related_name="teachers")

    def read_card(self) -> TeacherCard:
        """The card, typed."""
        return TeacherCard.model_validate(self.card)

    @property
    def sigma_range(self) -> tuple[float, float]:
        """(σ_min, σ_max) of its noise levels."""
        return teacher_sigma_range(self.read_card().config)


class Upload(models.Model):
    """A file that arrives in parts. Its bytes lie under a name of ours; the owner's name for it is only shown."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="uploads")
    name = models.CharField(max_length=255)
    size = models.PositiveBigIntegerField()
    offset = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, default="")  # as announced; empty: not
    kind = models.CharField(max_length=20, blank=True, default="")  # told by its first bytes; empty: not yet
    job = models.OneToOneField(Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="upload")
    created_at = models.DateTimeField(auto_now_add=True)
    touched_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = (
            models.CheckConstraint(name="upload_not_empty", condition=Q(size__gt=0)),
            models.CheckConstraint(name="upload_within_its_size", condition=Q(offset__lte=F("size"))),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def complete(self) -> bool:
        """Every byte is here."""
        return self.offset == self.size
