"""The page of workers and of the queue: access, service, response."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from studio.common.permissions import may_administer, may_change, may_set_priority, may_view, require, signed_in_user
from studio.jobs.models import Job
from studio.jobs.queue import DIRECTIONS, QueueError, job_move, job_set_priority
from studio.pool.disk import disk_problem
from studio.pool.models import Worker, WorkerChange
from studio.pool.selectors import queue_in_order, wait_reasons, worker_rows
from studio.pool.services import worker_drain

QUEUE_SHOWN = 200
MOVES = (("first", "First"), ("up", "Up"), ("down", "Down"))
CHANGES_SHOWN = 20


@require_GET
def list_workers(request: HttpRequest) -> HttpResponse:
    """Workers with their devices and runs, and the queue in order."""
    require(may_view(request.user), "look at workers")
    queue = queue_in_order()
    shown = list(queue[:QUEUE_SHOWN])
    reasons = wait_reasons(shown)
    user = signed_in_user(request)
    context = {
        "workers": worker_rows(),
        "queue": [
            {
                "job": job,
                "reason": reasons.get(job.pk, ""),
                "higher": job.priority + 1,
                "lower": job.priority - 1,
                "may_lower": may_set_priority(user, job.owner_id, job.priority, job.priority - 1),
            }
            for job in shown
        ],
        "queue_length": queue.count(),
        "moves": MOVES,
        "may_administer": may_administer(user),
        "disk_problem": disk_problem(),
        "changes": WorkerChange.objects.all()[:CHANGES_SHOWN],
    }
    return render(request, "pool/list.html", context)


@require_POST
def drain(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    """Let a worker finish, and take nothing new."""
    return _drain(request, pk, draining=True)


@require_POST
def undrain(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    """Let a worker take work again."""
    return _drain(request, pk, draining=False)


def _drain(request: HttpRequest, pk: int, *, draining: bool) -> HttpResponseRedirect:
    require(may_administer(request.user), "drain workers")
    worker_drain(get_object_or_404(Worker, pk=pk), draining=draining, actor=signed_in_user(request).get_username())
    return redirect("pool:list")


@require_POST
def move_in_queue(request: HttpRequest, pk: int, action: str) -> HttpResponseRedirect:
    """Move a job that waits: first, up, down, last."""
    require(may_administer(request.user), "change the order of the queue")
    if action not in DIRECTIONS:
        raise Http404(f"There is no move '{action}'. Known moves: {', '.join(DIRECTIONS)}.")
    direction = DIRECTIONS[DIRECTIONS.index(action)]
    try:
        job_move(get_object_or_404(Job, pk=pk), direction, actor=signed_in_user(request).get_username())
    except QueueError as error:
        messages.error(request, str(error))
    return redirect("pool:list")


@require_POST
def set_priority(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    """Raise or lower a job's priority."""
    job = get_object_or_404(Job, pk=pk)
    try:
        priority = int(request.POST.get("priority", ""))
    except ValueError:
        require(may_change(request.user, job.owner_id), "change this priority")
        messages.error(request, "A priority is a whole number.")
        return redirect("pool:list")
    require(may_set_priority(request.user, job.owner_id, job.priority, priority), "change this priority")
    try:
        job_set_priority(job, priority, actor=signed_in_user(request).get_username())
    except QueueError as error:
        messages.error(request, str(error))
    return redirect("pool:list")
