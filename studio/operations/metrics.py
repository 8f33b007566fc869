"""Figures for Prometheus. What the database knows is counted there, so every web process tells the same;
requests and watchers are each process's own.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count, Min, Q, Sum
from django.db.models.functions import Now
from django.utils import timezone
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from studio.celery import QUEUES
from studio.jobs.hub import hub
from studio.jobs.lifecycle import HELD_STATES, JobState
from studio.jobs.models import Job, JobTransition
from studio.pool.selectors import ACTIVE, DRAINING, LOST, workers_with_state

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

registry = CollectorRegistry()
ProcessCollector(registry=registry)
PlatformCollector(registry=registry)

REQUESTS = Counter(
    "simstudio_http_requests", "Requests answered by this process.", ("method", "route", "status"), registry=registry
)
SECONDS = Histogram(
    "simstudio_http_request_duration_seconds",
    "Time to the start of the answer, in this process.",
    ("method", "route"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=registry,
)
WATCHERS = Gauge("simstudio_watchers", "Open live channels of this process.", registry=registry)
WATCHERS.set_function(hub.watchers)
DELIVERED = Counter("simstudio_events_delivered", "Events sent to watchers by this process.", registry=registry)


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request. Any word may be sent as a method; unknown ones share a name."""
    method = method if method in METHODS else "other"
    REQUESTS.labels(method, route, str(status)).inc()
    SECONDS.labels(method, route).observe(seconds)


class StudioCollector(Collector):
    """Asked for at each scrape: seven queries."""

    def describe(self) -> Iterator[Metric]:
        """Registration shall not ask the database."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        yield _jobs()
        yield _oldest()
        yield _workers()
        yield from _announced()
        yield _expired_leases()
        yield _reaps()
        yield _stored_events()


def _jobs() -> Metric:
    family = GaugeMetricFamily("simstudio_jobs", "Jobs by kind and state.", labels=("kind", "state"))
    rows = Job.objects.values_list("kind", "state").annotate(Count("pk")).order_by()
    counts = {(kind, state): count for kind, state, count in rows}
    for kind in sorted({kind for kind, _ in counts}):
        for state in JobState.values:
            family.add_metric((kind, state), counts.get((kind, state), 0))
    return family


def _oldest() -> Metric:
    family = GaugeMetricFamily(
        "simstudio_queue_oldest_seconds", "Age of the job that waits longest; 0 where none waits.", labels=("queue",)
    )
    waiting = Job.objects.filter(state=JobState.QUEUED).values_list("queue").annotate(Min("queued_at")).order_by()
    since = dict(waiting)
    now = timezone.now()
    for queue in sorted({*QUEUES, *since}):
        age = (now - since[queue]).total_seconds() if queue in since else 0.0
        family.add_metric((queue,), max(0.0, age))
    return family


def _workers() -> Metric:
    """A worker process is known by the leases that it renews."""
    held = Job.objects.filter(state__in=HELD_STATES, lease_expires_at__gte=Now())
    count = held.aggregate(count=Count("worker", distinct=True))["count"]
    return GaugeMetricFamily("simstudio_workers_busy", "Workers that hold a job under a valid lease.", value=count)


def _announced() -> Iterator[Metric]:
    """Workers by their heartbeats; one that is long lost is forgotten, and its series ends."""
    rows = list(workers_with_state().values_list("name", "state", "heartbeat_at"))
    counts = GaugeMetricFamily("simstudio_workers", "Workers by state.", labels=("state",))
    for state in (ACTIVE, DRAINING, LOST):
        counts.add_metric((state,), sum(row[1] == state for row in rows))
    ages = GaugeMetricFamily(
        "simstudio_worker_heartbeat_age_seconds", "Time since a worker's last heartbeat.", labels=("worker",)
    )
    now = timezone.now()
    for name, _, heartbeat in rows:
        ages.add_metric((name,), max(0.0, (now - heartbeat).total_seconds()))
    yield counts
    yield ages


def _expired_leases() -> Metric:
    count = Job.objects.filter(Q(state__in=HELD_STATES) & Q(lease_expires_at__lt=Now())).count()
    text = "Jobs whose worker has been silent for longer than its lease and that were not taken back yet."
    return GaugeMetricFamily("simstudio_leases_expired", text, value=count)


def _reaps() -> Metric:
    count = JobTransition.objects.filter(actor="reaper").count()
    return CounterMetricFamily("simstudio_lease_reaps", "Jobs taken back from lost workers.", value=count)


def _stored_events() -> Metric:
    total = Job.objects.aggregate(total=Sum("event_seq"))["total"] or 0
    return CounterMetricFamily("simstudio_events_stored", "Events in the logs of all jobs.", value=total)


registry.register(StudioCollector())
