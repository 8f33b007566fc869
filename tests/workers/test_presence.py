from __future__ import annotations

import pytest

from studio.pool.models import Worker
from tests.stack import wait_for
from workers.presence import Presence

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(settings: object, redis_server: None) -> None:
    settings.HEARTBEAT_SECONDS = 0.05  # type: ignore[attr-defined]


def test_a_worker_announces_itself_lives_and_leaves() -> None:
    presence = Presence("host:1", ["runs"])
    presence.start()
    try:
        worker = wait_for(lambda: Worker.objects.filter(name="host:1").first(), 5, "it announces itself")
        assert [device.kind for device in worker.devices.all()][:1] == ["cpu"]
        wait_for(lambda: Worker.objects.get().heartbeat_at > worker.heartbeat_at, 5, "a heartbeat")
        Worker.objects.all().delete()
        wait_for(lambda: Worker.objects.exists(), 5, "forgotten, it announces itself anew")
    finally:
        presence.leave()
    wait_for(lambda: not Worker.objects.exists(), 5, "it is gone, not lost")


def test_a_worker_that_does_not_train_has_no_devices() -> None:
    presence = Presence("host:2", ["light"])
    presence.start()
    try:
        worker = wait_for(lambda: Worker.objects.first(), 5, "it announces itself")
        assert (worker.queues, worker.devices.count()) == ("light", 0)
    finally:
        presence.leave()
