"""People who sign in."""

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A person. The first administrator starts with a printed one-time password and is asked to replace it."""

    has_initial_password = models.BooleanField(default=False)
