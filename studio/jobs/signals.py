"""What other apps hear of jobs."""

from django.dispatch import Signal

# Sent with `job` in the transaction of the move; a receiver writes rows, and does no other work.
job_ended = Signal()
