"""Teachers that runs may distil."""

from __future__ import annotations

from django.db import models

from simcore.teacher_card import TeacherCard


class Teacher(models.Model):
    """A teacher in the catalogue. Only what stands here can be named by a run launched in the studio."""

    reference = models.CharField(max_length=500, unique=True)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    card = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("title",)

    def __str__(self) -> str:
        return self.title

    def read_card(self) -> TeacherCard:
        """The card, typed."""
        return TeacherCard.model_validate(self.card)
