"""The blind pairwise preference study: Study → Prompt → Image (arm, review), Participant → Trial → Vote."""

from __future__ import annotations

import secrets
import uuid
from typing import Any, NoReturn

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from studio.catalog.models import Teacher
from studio.jobs.models import Job
from studio.runs.models import Checkpoint
from studio.study.lifecycle import StudyState

# The paper's question (B.4, Figure 4); the number of pairs stands in it.
DEFAULT_QUESTION = "Given the following prompts, select the best image by text similarity and image quality."
DEFAULT_PROMPTS = 17
DEFAULT_PARTICIPANTS = 30
MOST_PROMPTS = 200


def new_link_token() -> str:
    """128 random bits, readable in an address."""
    return secrets.token_urlsafe(16)


class Study(models.Model):
    """Two arms, the same prompts, and the people who compare them without knowing which is which."""

    title = models.CharField(max_length=200)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="studies")
    state = models.CharField(max_length=20, choices=StudyState.choices, default=StudyState.DRAFT)
    question = models.TextField(default=DEFAULT_QUESTION, max_length=1000)
    instructions = models.TextField(blank=True, default="", max_length=4000)
    consent = models.TextField(max_length=8000)
    prompts_wanted = models.PositiveIntegerField(
        default=DEFAULT_PROMPTS, validators=[MinValueValidator(1), MaxValueValidator(MOST_PROMPTS)]
    )
    participants_wanted = models.PositiveIntegerField(
        default=DEFAULT_PARTICIPANTS, validators=[MinValueValidator(1), MaxValueValidator(100_000)]
    )
    seed = models.PositiveBigIntegerField(default=0)
    no_preference = models.BooleanField(default=False, help_text="Offer “No preference” beside left and right.")
    checks = models.PositiveIntegerField(
        default=0, validators=[MaxValueValidator(5)], help_text="Attention checks among each participant's trials."
    )
    # Raised in the transaction in which a participant starts.
    started = models.PositiveIntegerField(default=0)
    # Of every file that a participant receives; 0 until the study opens.
    padded_bytes = models.PositiveBigIntegerField(default=0)
    cloned_from = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="clones")
    job = models.ForeignKey(Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")  # that draws
    created_at = models.DateTimeField(auto_now_add=True)
    opened_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-pk",)
        constraints = (
            models.CheckConstraint(
                name="study_padded_once_open",
                condition=Q(state__in=[StudyState.OPEN, StudyState.CLOSED], padded_bytes__gt=0)
                | ~Q(state__in=[StudyState.OPEN, StudyState.CLOSED]),
            ),
        )

    def __str__(self) -> str:
        return self.title


class Arm(models.Model):
    """What is compared: a student's checkpoint, a teacher with its sampler, or uploaded images."""

    class Kind(models.TextChoices):
        CHECKPOINT = "checkpoint", "A student's checkpoint"
        TEACHER = "teacher", "A teacher with its sampler"
        UPLOAD = "upload", "Uploaded images"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="arms")
    position = models.PositiveSmallIntegerField()  # 0 or 1
    label = models.CharField(max_length=100)  # for researchers
    kind = models.CharField(max_length=20, choices=Kind.choices)
    checkpoint = models.ForeignKey(Checkpoint, null=True, blank=True, on_delete=models.PROTECT, related_name="arms")
    teacher = models.ForeignKey(Teacher, null=True, blank=True, on_delete=models.PROTECT, related_name="arms")
    steps = models.PositiveIntegerField(default=18)  # of Heun's method; for teachers

    class Meta:
        ordering = ("study", "position")
        constraints = (
            models.UniqueConstraint(fields=["study", "position"], name="study_arm_once"),
            models.CheckConstraint(name="study_arm_is_one_of_two", condition=Q(position__in=[0, 1])),
            models.CheckConstraint(
                name="study_arm_has_its_source",
                condition=Q(kind="checkpoint", checkpoint__isnull=False, teacher__isnull=True)
                | Q(kind="teacher", checkpoint__isnull=True, teacher__isnull=False)
                | Q(kind="upload", checkpoint__isnull=True, teacher__isnull=True),
            ),
        )

    def __str__(self) -> str:
        return self.label

    @property
    def letter(self) -> str:
        """A or B."""
        return "AB"[self.position]


class Prompt(models.Model):
    """What both images show. `label`: the class asked of class-conditional models, from 0."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="prompts")
    position = models.PositiveIntegerField()  # from 0
    text = models.TextField(max_length=2000)
    label = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ("study", "position")
        constraints = (models.UniqueConstraint(fields=["study", "position"], name="study_prompt_once"),)

    def __str__(self) -> str:
        return self.text


class Image(models.Model):
    """One arm's picture of one prompt. A picture that is drawn again is a new row; the old one is superseded.

    `path` is relative to the study's folder. `sampler` says how it was made, as in "Heun, 18 steps".
    """

    class Review(models.TextChoices):
        PENDING = "pending", "not reviewed"
        APPROVED = "approved", "approved"
        REJECTED = "rejected", "rejected"

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="images")
    arm = models.ForeignKey(Arm, on_delete=models.CASCADE, related_name="images")
    path = models.CharField(max_length=300)
    sha256 = models.CharField(max_length=64)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    seed = models.PositiveBigIntegerField(null=True, blank=True)
    nfe = models.PositiveIntegerField(null=True, blank=True)
    sampler = models.CharField(max_length=100, blank=True, default="")
    superseded = models.BooleanField(default=False)
    review = models.CharField(max_length=10, choices=Review.choices, default=Review.PENDING)
    reviewed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    reviewed_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True, default="", max_length=1000)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("prompt", "arm", "pk")
        constraints = (
            models.UniqueConstraint(fields=["prompt", "arm"], condition=Q(superseded=False), name="study_image_once"),
            models.CheckConstraint(
                name="study_image_reviewed_by_somebody",
                condition=Q(review="pending", reviewed_by__isnull=True, reviewed_at__isnull=True)
                | (~Q(review="pending") & Q(reviewed_by__isnull=False, reviewed_at__isnull=False)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.arm} of “{self.prompt}”"


class StudyEvent(models.Model):
    """The audit trail of a study: moves, edits, reviews, exclusions, corrections. Rows are only added."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=150)
    what = models.CharField(max_length=300)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.actor} {self.what}"


class Link(models.Model):
    """An address that leads into a study: one open to all, with an optional cap, or a personal one that works once."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="links")
    token = models.CharField(max_length=43, unique=True, default=new_link_token)
    personal = models.BooleanField(default=False)
    note = models.CharField(max_length=200, blank=True, default="")  # for whom; only researchers see it
    cap = models.PositiveIntegerField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked = models.BooleanField(default=False)
    # Raised in the transaction in which a participant starts.
    used = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("pk",)
        constraints = (
            models.CheckConstraint(name="study_link_personal_once", condition=Q(personal=False) | Q(cap=1)),
            models.CheckConstraint(name="study_link_within_cap", condition=Q(cap__isnull=True) | Q(used__lte=F("cap"))),
        )

    def __str__(self) -> str:
        return f"{'personal' if self.personal else 'open'} link of {self.study}"


class Participant(models.Model):
    """Somebody who consented. Known by a secret in a cookie, of which the hash is kept; nothing else about them."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="participants")
    link = models.ForeignKey(Link, on_delete=models.PROTECT, related_name="participants")
    number = models.PositiveIntegerField()  # 1, 2, 3… in the order in which they started
    digest = models.CharField(max_length=64, unique=True)
    consented_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    completion_code = models.CharField(max_length=20, blank=True, default="")

    class Meta:
        ordering = ("study", "number")
        constraints = (models.UniqueConstraint(fields=["study", "number"], name="study_participant_number_once"),)

    def __str__(self) -> str:
        return f"participant {self.number}"


class Exclusion(models.Model):
    """Leaves a participant out of the results, with the reason; lifting it keeps the row."""

    participant = models.ForeignKey(Participant, on_delete=models.CASCADE, related_name="exclusions")
    reason = models.TextField(max_length=1000)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("pk",)
        constraints = (
            models.UniqueConstraint(
                fields=["participant"], condition=Q(lifted_at__isnull=True), name="study_excluded_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.participant} excluded"


class Side(models.TextChoices):
    """An answer, as the participant saw it."""

    LEFT = "left", "Left"
    RIGHT = "right", "Right"
    NONE = "none", "No preference"


class Trial(models.Model):
    """One pair as one participant sees it. Drawn when the participant starts; never changed but for the times.

    `left_key` and `right_key` name its images in addresses. `expected`: the right answer of an attention check.
    """

    participant = models.ForeignKey(Participant, on_delete=models.CASCADE, related_name="trials")
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    position = models.PositiveIntegerField()  # from 0
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="trials")
    left = models.ForeignKey(Image, on_delete=models.PROTECT, related_name="+")
    right = models.ForeignKey(Image, on_delete=models.PROTECT, related_name="+")
    left_key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    right_key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    expected = models.CharField(max_length=5, choices=Side.choices, blank=True, default="")
    shown_at = models.DateTimeField(null=True, blank=True)  # first

    class Meta:
        ordering = ("participant", "position")
        constraints = (
            models.UniqueConstraint(fields=["participant", "position"], name="study_trial_position_once"),
            models.UniqueConstraint(
                fields=["participant", "prompt"], condition=Q(expected=""), name="study_trial_prompt_once"
            ),
        )

    def __str__(self) -> str:
        return f"trial {self.position + 1} of {self.participant}"

    @property
    def is_check(self) -> bool:
        """An attention check: it counts nowhere but in the flags."""
        return bool(self.expected)


class AppendOnly(models.QuerySet["Vote"]):
    """Rows are added and read, nothing else."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise TypeError("votes are append-only")

    def delete(self) -> NoReturn:
        raise TypeError("votes are append-only")


class Vote(models.Model):
    """An answer. The first of a trial is the participant's; a correction is a new row that replaces another.

    The vote that counts is the one that no other replaces. `seconds` from first showing to answer, by the server.
    """

    trial = models.ForeignKey(Trial, on_delete=models.CASCADE, related_name="votes")
    side = models.CharField(max_length=5, choices=Side.choices)
    at = models.DateTimeField(auto_now_add=True)
    seconds = models.FloatField(null=True, blank=True)
    replaces = models.OneToOneField("self", null=True, blank=True, on_delete=models.PROTECT, related_name="replaced_by")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(blank=True, default="", max_length=1000)  # of a correction

    objects = AppendOnly.as_manager()

    class Meta:
        ordering = ("pk",)
        constraints = (
            models.UniqueConstraint(fields=["trial"], condition=Q(replaces__isnull=True), name="study_vote_once"),
            models.CheckConstraint(
                name="study_vote_correction_has_author",
                condition=Q(replaces__isnull=True, by__isnull=True) | Q(replaces__isnull=False, by__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.side} in {self.trial}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise TypeError("votes are append-only")
        super().save(*args, **kwargs)
