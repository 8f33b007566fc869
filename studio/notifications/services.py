"""Verbs on notifications: wishing, storing what is to be sent, sending it."""

from __future__ import annotations

import http.client
import json
import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from studio.accounts.models import User
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.notifications.models import Delivery, Wishes
from studio.notifications.webhook import WebhookRefused, check_url, post, signature

BACKOFF_SECONDS = (30, 120, 600, 3600, 6 * 3600)
CLAIM_SECONDS = 120  # longer than a try takes: nobody else tries meanwhile
KEPT = 100  # deliveries a person
BATCH = 20
TESTS_A_MINUTE = 6


class NotificationRefused(ValueError):
    """What was asked for cannot be; the message says why, for people."""


def wishes_of(user: User) -> Wishes:
    """What the person asked for; nothing, for a new one."""
    return Wishes.objects.get_or_create(user=user, defaults={"secret": _new_secret()})[0]


def _new_secret() -> str:
    return secrets.token_urlsafe(32)


def wishes_save(
    user: User, *, webhook_url: str, email: bool, email_address: str, on_success: bool, on_failure: bool
) -> Wishes:
    """Store what the person asks for, and their address. Raises NotificationRefused."""
    wishes = wishes_of(user)
    address = _address(email_address)
    webhook_url = webhook_url.strip()
    if len(webhook_url) > 500:
        raise NotificationRefused("The address has more than 500 characters.")
    if webhook_url:
        try:
            check_url(webhook_url, private=settings.WEBHOOK_PRIVATE)
        except WebhookRefused as refusal:
            raise NotificationRefused(str(refusal)) from None
    if email and not (settings.EMAIL_CONFIGURED and address):
        raise NotificationRefused("E-mail needs a mail server in the studio's settings, and your address.")
    wishes.webhook_url, wishes.email = webhook_url, email
    wishes.on_success, wishes.on_failure = on_success, on_failure
    with transaction.atomic():
        wishes.save()
        user.email = address
        user.save(update_fields=["email"])
    return wishes


def _address(text: str) -> str:
    text = text.strip()
    try:
        if text:
            validate_email(text)
    except ValidationError:
        raise NotificationRefused(f"“{text[:100]}” is no e-mail address.") from None
    if len(text) > 254:
        raise NotificationRefused("The e-mail address has more than 254 characters.")
    return text


def secret_renew(user: User) -> None:
    """A new secret; signatures under the old one end at once."""
    wishes = wishes_of(user)
    wishes.secret = _new_secret()
    wishes.save(update_fields=["secret"])


def wishes_test(user: User) -> int:
    """Queue a test on every channel wished for; returns how many.

    Raises NotificationRefused where there is none, and for whoever tests without end.
    """
    lately = Delivery.objects.filter(user=user, event="test", created_at__gt=timezone.now() - timedelta(minutes=1))
    if lately.count() >= TESTS_A_MINUTE:
        raise NotificationRefused("That was tested often enough for this minute; wait for the next.")
    body = {"event": "test", "text": "A test from SIM Studio.", "at": timezone.now().isoformat()}
    number = _queue(wishes_of(user), None, "test", body)
    if not number:
        raise NotificationRefused("There is nothing to test: give a web hook's address, or choose e-mail, and save.")
    return number


# ---- when a job ends


def on_job_ended(sender: object, job: Job, **_: Any) -> None:
    """Store what the owner of a run asked to be told, in the transaction that ends it. Other jobs end unannounced."""
    if job.state not in (JobState.SUCCEEDED, JobState.FAILED) or not hasattr(job, "run"):
        return
    wishes = Wishes.objects.filter(user_id=job.owner_id, user__is_active=True).select_related("user").first()
    wanted = wishes and (wishes.on_success if job.state == JobState.SUCCEEDED else wishes.on_failure)
    if wishes and wanted:
        _queue(wishes, job, f"run.{job.state}", _body(job))


def _body(job: Job) -> dict[str, Any]:
    name, path = job.run.name, f"/runs/{job.pk}/"
    word = JobState(job.state).label
    return {
        "event": f"run.{job.state}",
        "text": f"{name} {word} at step {job.step} of {job.total_steps}." + (f" {job.reason}" if job.reason else ""),
        "run": {
            "id": job.pk,
            "kind": job.kind,
            "name": name,
            "state": job.state,
            "reason": job.reason,
            "step": job.step,
            "total_steps": job.total_steps,
            "path": path,
            "url": f"{settings.PUBLIC_URL}{path}" if settings.PUBLIC_URL else "",
        },
        "at": timezone.now().isoformat(),
    }


def _queue(wishes: Wishes, job: Job | None, event: str, body: dict[str, Any]) -> int:
    channels = [
        *([Delivery.Channel.WEBHOOK] if wishes.webhook_url else []),
        *([Delivery.Channel.EMAIL] if wishes.email and settings.EMAIL_CONFIGURED else []),
    ]
    now = timezone.now()
    Delivery.objects.bulk_create(
        Delivery(user=wishes.user, job=job, channel=channel, event=event, body=body, next_at=now)
        for channel in channels
    )
    old = Delivery.objects.filter(user=wishes.user).exclude(state=Delivery.State.PENDING).order_by("-pk")[KEPT:]
    Delivery.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()
    return len(channels)


# ---- sending, in the light worker


def deliveries_send() -> int:
    """Try what is due, each once; returns how many were tried."""
    tried = 0
    for number in list(_due().values_list("pk", flat=True)[:BATCH]):
        # Whoever moves the time of the next try does this one: two workers never send the same message together.
        if not _due().filter(pk=number).update(next_at=timezone.now() + timedelta(seconds=CLAIM_SECONDS)):
            continue
        _try(Delivery.objects.select_related("user").get(pk=number))
        tried += 1
    return tried


def _due() -> Any:
    return Delivery.objects.filter(state=Delivery.State.PENDING, next_at__lte=timezone.now()).order_by("next_at")


def _try(delivery: Delivery) -> None:
    delivery.tries += 1
    try:
        problem = _send(delivery)
        final = False
    except WebhookRefused as refusal:
        problem, final = str(refusal), True
    except UnicodeError:  # an address that was stored before such were refused
        problem, final = "the address cannot be sent: it is not ASCII", True
    except (OSError, http.client.HTTPException) as error:
        problem, final = f"no answer: {error or type(error).__name__}", False
    if not problem:
        delivery.state, delivery.detail = Delivery.State.DELIVERED, ""
    elif final or delivery.tries > len(BACKOFF_SECONDS):
        delivery.state, delivery.detail = Delivery.State.GIVEN_UP, problem[:300]
    else:
        delivery.next_at = timezone.now() + timedelta(seconds=BACKOFF_SECONDS[delivery.tries - 1])
        delivery.detail = problem[:300]
    delivery.save(update_fields=["tries", "state", "detail", "next_at"])


def _send(delivery: Delivery) -> str:
    """Why it was not accepted; empty where it was. Raises WebhookRefused, OSError, HTTPException."""
    if delivery.channel == Delivery.Channel.EMAIL:
        subject = f"SIM Studio: {delivery.body.get('run', {}).get('name', 'test')} ({delivery.event})"
        run = delivery.body.get("run", {})
        text = "\n\n".join(filter(None, (delivery.body["text"], run.get("url") or run.get("path"))))
        send_mail(" ".join(subject.split()), text, None, [delivery.user.email])  # its errors are OSErrors
        return ""
    wishes = Wishes.objects.get(user=delivery.user)
    if not wishes.webhook_url:
        raise WebhookRefused("the web hook was removed before it was sent")
    body = json.dumps(delivery.body, ensure_ascii=False).encode()
    timestamp = str(int(timezone.now().timestamp()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "SIM-Studio",
        "X-SimStudio-Delivery": str(delivery.pk),
        "X-SimStudio-Event": delivery.event,
        "X-SimStudio-Timestamp": timestamp,
        "X-SimStudio-Signature": f"sha256={signature(wishes.secret, timestamp, body)}",
    }
    status = post(wishes.webhook_url, body, headers, private=settings.WEBHOOK_PRIVATE)
    return "" if 200 <= status < 300 else f"the server answered {status}"
