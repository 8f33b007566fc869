from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from studio.catalog.models import Teacher
from studio.catalog.sampling import teacher_sample
from studio.catalog.services import bundled_teachers_register
from studio.celery import LIGHT_QUEUE
from studio.jobs.lifecycle import JobState
from studio.jobs.services import job_end
from studio.notifications.models import Delivery
from studio.notifications.services import (
    BACKOFF_SECONDS,
    TESTS_A_MINUTE,
    NotificationRefused,
    deliveries_send,
    wishes_of,
    wishes_save,
    wishes_test,
)
from studio.notifications.webhook import WebhookRefused, check_url, is_public, post
from tests.studio.builders import at_once, bring_to, claim, not_raised, record, started, token_of


class Receiver(HTTPServer):
    """A real server that keeps what was posted to it, and answers with the statuses it was given."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}/hook?x=1"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((dict(self.headers), body))
        status = self.server.statuses.pop(0) if self.server.statuses else 204
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", self.server.url)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_PRIVATE = True
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def wish(user: Any, url: str = "", address: str = "", **changes: bool) -> Any:
    wanted = {"email": False, "on_success": True, "on_failure": True, **changes}
    return wishes_save(user, webhook_url=url, email_address=address, **wanted)


def make_due() -> None:
    Delivery.objects.update(next_at=timezone.now() - timedelta(seconds=1))


def test_a_server_that_drips_bytes_is_left(monkeypatch: Any) -> None:
    monkeypatch.setattr("studio.notifications.webhook.DEADLINE", 0.5)
    gone = threading.Event()

    def drip(listener: socket.socket) -> None:
        caller, _ = listener.accept()
        with caller, contextlib.suppress(OSError):
            while not gone.wait(0.1):
                caller.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,), daemon=True)
        thread.start()
        with pytest.raises((OSError, http.client.HTTPException)):
            post(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"{}", {}, private=True)
        gone.set()
        thread.join()


def test_an_address_that_cannot_be_sent_is_given_up_and_holds_nobody_up(user: Any, receiver: Receiver) -> None:
    wishes = wish(user, receiver.url)
    wishes.webhook_url = receiver.url.replace("/hook", "/häken")
    wishes.save()
    wishes_test(user)
    deliveries_send()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.tries) == (Delivery.State.GIVEN_UP, 1)
    assert "ASCII" in delivery.detail


def test_the_owner_of_a_run_that_succeeds_is_told_with_a_signature(user: Any, run: Any, receiver: Receiver) -> None:
    wishes = wish(user, receiver.url)
    bring_to(run, JobState.SUCCEEDED)
    assert not receiver.requests, "nothing is sent while the job's row is locked"
    assert deliveries_send() == 1
    ((headers, body),) = receiver.requests
    signed = headers["X-SimStudio-Timestamp"].encode() + b"." + body
    expected = hmac.new(wishes.secret.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-SimStudio-Signature"] == f"sha256={expected}"
    assert headers["X-SimStudio-Event"] == "run.succeeded"
    told = json.loads(body)
    assert told["run"] == {
        "id": run.pk, "kind": "distil", "name": "first", "state": "succeeded", "reason": "", "step": 0,
        "total_steps": 2500, "path": f"/runs/{run.pk}/", "url": "",
    }  # fmt: skip
    assert Delivery.objects.get().state == "delivered"
    assert deliveries_send() == 0


def test_a_failure_carries_its_reason_and_a_cancellation_is_not_told(user: Any, run: Any, receiver: Receiver) -> None:
    wish(user, receiver.url)
    job = claim()
    record(job, started())
    job_end(job.pk, token_of(job), JobState.FAILED, reason="the student's loss is not finite")
    deliveries_send()
    assert json.loads(receiver.requests[0][1])["run"]["reason"] == "the student's loss is not finite"
    from simcore.presets import find_preset
    from studio.jobs.lifecycle import UserAction
    from studio.jobs.services import job_act
    from studio.runs.services import run_create

    other = run_create(owner=user, name="other", preset="digits-demo", spec=find_preset("digits-demo").spec)
    job_act(other.job, UserAction.CANCEL, actor="ada")
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize(("state", "switch"), [(JobState.SUCCEEDED, "on_success"), (JobState.FAILED, "on_failure")])
def test_what_is_not_wished_for_is_not_sent(user: Any, run: Any, receiver: Receiver, state: Any, switch: str) -> None:
    wish(user, receiver.url, **{switch: False})
    bring_to(run, state)
    assert not Delivery.objects.exists()


def test_a_refusing_server_is_tried_again_ever_later_and_then_given_up(user: Any, receiver: Receiver) -> None:
    wish(user, receiver.url)
    wishes_test(user)
    receiver.statuses = [500] * 10
    for tries, wait in enumerate(BACKOFF_SECONDS, start=1):
        assert deliveries_send() == 1
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.tries, delivery.detail) == ("pending", tries, "the server answered 500")
        assert delivery.next_at - timezone.now() == pytest.approx(timedelta(seconds=wait), abs=timedelta(seconds=5))
        assert deliveries_send() == 0
        make_due()
    deliveries_send()
    assert Delivery.objects.get().state == "given_up"
    make_due()
    assert deliveries_send() == 0
    assert len(receiver.requests) == len(BACKOFF_SECONDS) + 1


def test_a_server_that_is_away_gets_the_message_when_it_is_back(user: Any, receiver: Receiver) -> None:
    wish(user, "http://127.0.0.1:9/nobody")
    wishes_test(user)
    deliveries_send()
    assert Delivery.objects.get().detail.startswith("no answer: ")
    wish(user, receiver.url)
    make_due()
    deliveries_send()
    assert Delivery.objects.get().state == "delivered"


def test_redirects_are_not_followed(user: Any, receiver: Receiver) -> None:
    wish(user, receiver.url)
    wishes_test(user)
    receiver.statuses = [302]
    deliveries_send()
    assert len(receiver.requests) == 1
    assert Delivery.objects.get().detail == "the server answered 302"


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_a_message_once(user: Any, receiver: Receiver) -> None:
    wish(user, receiver.url)
    wishes_test(user)
    assert sum(not_raised(at_once(deliveries_send, deliveries_send))) == 1
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
     "::1", "::", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"],
)  # fmt: skip
def test_addresses_that_are_not_of_the_public_internet_are_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_public_addresses_are_known(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
def test_no_spelling_of_a_private_address_is_reached(host: str) -> None:
    with pytest.raises((WebhookRefused, OSError)) as refusal:
        post(f"https://{host}/", b"", {}, private=False)
    assert "private address" in str(refusal.value) or "cannot be resolved" in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    ["http://example.org/", "ftp://example.org/", "https://", "example.org", "https://user:secret@example.org/",
     "https://example.org:99999/", "https://example.org/a b", "https://example.org/\r\nX: y", "https://[::1",
     "javascript:1"],
)  # fmt: skip
def test_unusable_addresses_are_refused_when_they_are_given(user: Any, url: str) -> None:
    with pytest.raises(WebhookRefused):
        check_url(url, private=False)
    with pytest.raises(NotificationRefused):
        wish(user, url)
    assert wishes_of(user).webhook_url == ""


def test_email_is_sent_where_it_is_configured(user: Any, run: Any, settings: Any) -> None:
    with pytest.raises(NotificationRefused, match="mail server"):
        wish(user, email=True)
    settings.EMAIL_CONFIGURED = True
    settings.PUBLIC_URL = "https://studio.example.org"
    with pytest.raises(NotificationRefused, match="your address"):
        wish(user, email=True)
    wish(user, address="ada@example.org", email=True)
    type(run).objects.update(name="two\nlines")
    run.refresh_from_db()
    bring_to(run, JobState.SUCCEEDED)
    deliveries_send()
    (message,) = mail.outbox
    assert message.to == ["ada@example.org"]
    assert message.subject == "SIM Studio: two lines (run.succeeded)"
    assert f"https://studio.example.org/runs/{run.pk}/" in message.body


def test_only_runs_are_told_of(user: Any, receiver: Receiver, redis_server: None) -> None:
    wish(user, receiver.url)
    bundled_teachers_register()
    teacher_sample(Teacher.objects.get(reference="bundled:digits"), user)
    job = claim(queue=LIGHT_QUEUE)
    job_end(job.pk, token_of(job), JobState.FAILED, reason="no paint")
    assert not Delivery.objects.exists()


def test_tests_have_a_limit(user: Any, receiver: Receiver) -> None:
    wish(user, receiver.url)
    for _ in range(TESTS_A_MINUTE):
        wishes_test(user)
    with pytest.raises(NotificationRefused, match="wait for the next"):
        wishes_test(user)


def test_the_page_saves_refuses_tests_and_lists(ada: Client, user: Any, receiver: Receiver) -> None:
    assert "Nothing yet." in ada.get("/notifications/").content.decode()
    refused = ada.post("/notifications/", {"webhook_url": "ftp://example.org"})
    assert refused.status_code == 422
    assert "must start with https:// or http://" in refused.content.decode()
    assert ada.post("/notifications/", {"webhook_url": receiver.url, "on_failure": "on"}).status_code == 302
    wishes = wishes_of(user)
    assert (wishes.webhook_url, wishes.on_success, wishes.on_failure) == (receiver.url, False, True)
    ada.post("/notifications/test/")
    deliveries_send()
    assert "delivered" in ada.get("/notifications/").content.decode()
    ada.post("/notifications/secret/")
    assert wishes_of(user).secret != wishes.secret


def test_nobody_sees_anothers_secret_or_messages(ada: Client, user: Any, receiver: Receiver, client: Client) -> None:
    from studio.accounts.models import User

    other = User.objects.create_user("bob")
    wish(other, receiver.url)
    wishes_test(other)
    page = ada.get("/notifications/").content.decode()
    assert wishes_of(other).secret not in page
    assert "Nothing yet." in page
