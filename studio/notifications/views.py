"""A person's own page of notifications."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from studio.common.permissions import may_view, require, signed_in_user
from studio.notifications.models import Delivery
from studio.notifications.services import NotificationRefused, secret_renew, wishes_of, wishes_save, wishes_test

SHOWN = 50


@require_http_methods(["GET", "POST"])
def notifications(request: HttpRequest) -> HttpResponse:
    """What the person wishes, and what was sent."""
    require(may_view(request.user), "be notified")
    user = signed_in_user(request)
    wishes, problem = wishes_of(user), ""
    if request.method == "POST":
        wanted = {name: name in request.POST for name in ("email", "on_success", "on_failure")}
        url, address = (request.POST.get(name, "").replace("\0", "") for name in ("webhook_url", "email_address"))
        try:
            wishes_save(user, webhook_url=url, email_address=address, **wanted)
            messages.success(request, "Saved.")
            return redirect("notifications")
        except NotificationRefused as refusal:
            problem, wishes.webhook_url, user.email = str(refusal), url, address
            for name, value in wanted.items():
                setattr(wishes, name, value)
    context = {
        "wishes": wishes,
        "problem": problem,
        "address": user.email,
        "email_possible": settings.EMAIL_CONFIGURED,
        "deliveries": Delivery.objects.filter(user=user)[:SHOWN],
    }
    return render(request, "notifications/page.html", context, status=422 if problem else 200)


@require_POST
def test_notification(request: HttpRequest) -> HttpResponseRedirect:
    """Send a test on every channel."""
    require(may_view(request.user), "be notified")
    try:
        wishes_test(signed_in_user(request))
        messages.success(request, "A test is on its way; what came of it stands below in a few seconds.")
    except NotificationRefused as refusal:
        messages.error(request, str(refusal))
    return redirect("notifications")


@require_POST
def renew_secret(request: HttpRequest) -> HttpResponseRedirect:
    """A new secret for signatures."""
    require(may_view(request.user), "be notified")
    secret_renew(signed_in_user(request))
    messages.success(request, "The secret is new; signatures under the old one have ended.")
    return redirect("notifications")
