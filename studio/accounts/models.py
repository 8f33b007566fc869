"""People who sign in."""

from django.contrib.auth.models import AbstractUser
from django.db import models


class Role(models.TextChoices):
    """What a person may do; each includes the one before."""

    VIEWER = "viewer", "Viewer"
    RESEARCHER = "researcher", "Researcher"
    ADMINISTRATOR = "administrator", "Administrator"


class User(AbstractUser):
    """A person. The first administrator starts with a printed one-time password and is asked to replace it."""

    role = models.CharField(max_length=20, choices=Role.choices, default=Role.VIEWER)
    has_initial_password = models.BooleanField(default=False)
