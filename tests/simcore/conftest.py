"""Property tests: no deadline on busy machines, and the same examples each time."""

from hypothesis import settings

settings.register_profile("simcore", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("simcore")
