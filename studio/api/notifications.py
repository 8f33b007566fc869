"""How one is told when a run of one's own ends."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from studio.api.endpoint import Endpoint, ListEndpoint
from studio.api.fields import Text
from studio.common.permissions import signed_in_user
from studio.notifications.models import Delivery, Wishes
from studio.notifications.services import secret_renew, wishes_of, wishes_save, wishes_test

FIELDS = ("webhook_url", "email", "on_success", "on_failure")


class WishesRow(serializers.ModelSerializer[Wishes]):
    """What one wishes; the web hook's secret is shown by its renewal alone."""

    email_address = serializers.CharField(source="user.email", help_text="One's own; empty: none.")
    email_possible = serializers.SerializerMethodField(help_text="A mail server is set up.")

    class Meta:
        model = Wishes
        fields = (*FIELDS, "email_address", "email_possible")

    def get_email_possible(self, row: Wishes) -> bool:
        return settings.EMAIL_CONFIGURED


class WishesChange(serializers.Serializer[Any]):
    """What is left out stays."""

    webhook_url = Text(max_length=500, required=False, allow_blank=True, help_text="Empty: no web hook.")
    email = serializers.BooleanField(required=False)
    email_address = Text(max_length=254, required=False, allow_blank=True, help_text="Empty: none.")
    on_success = serializers.BooleanField(required=False)
    on_failure = serializers.BooleanField(required=False)


class Secret(serializers.Serializer[Any]):
    """Under which web hooks are signed; it is shown this once."""

    secret = serializers.CharField()


class Channels(serializers.Serializer[Any]):
    channels = serializers.IntegerField(help_text="On how many channels a test is on its way.")


class Notifications(Endpoint):
    """One's own wishes."""

    serializer_class = WishesRow

    def get(self, request: Request) -> Response:
        return Response(WishesRow(wishes_of(signed_in_user(request))).data)

    @extend_schema(
        request=WishesChange,
        responses={200: WishesRow},
        examples=[
            OpenApiExample(
                "A web hook for failures",
                value={"webhook_url": "https://example.org/hook", "on_success": False},
                request_only=True,
            )
        ],
    )
    def patch(self, request: Request) -> Response:
        """Change them. 422 for an address that may not be used, or e-mail that is not set up."""
        user = signed_in_user(request)
        wishes = wishes_of(user)
        now = {name: getattr(wishes, name) for name in FIELDS} | {"email_address": user.email}
        return Response(WishesRow(wishes_save(user, **(now | self.validated(WishesChange)))).data)


class NotificationTest(Endpoint):
    """Trying the channels."""

    @extend_schema(request=None, responses={202: Channels})
    def post(self, request: Request) -> Response:
        """Send a test on every channel; the deliveries tell what came of it. 422 where there is no channel."""
        number = wishes_test(signed_in_user(request))
        return Response({"channels": number}, status=status.HTTP_202_ACCEPTED)


class NotificationSecret(Endpoint):
    """The web hook's secret."""

    @extend_schema(request=None, responses={200: Secret})
    def post(self, request: Request) -> Response:
        """Make a new one; signatures under the old one end at once."""
        user = signed_in_user(request)
        secret_renew(user)
        return Response({"secret": wishes_of(user).secret})


class DeliveryRow(serializers.ModelSerializer[Delivery]):
    """A message, and what came of it."""

    class Meta:
        model = Delivery
        fields = ("id", "job", "channel", "event", "state", "tries", "next_at", "detail", "created_at")


class Deliveries(ListEndpoint):
    """What was sent to oneself, newest first."""

    serializer_class = DeliveryRow

    def rows(self) -> QuerySet[Delivery]:
        return Delivery.objects.filter(user=signed_in_user(self.request)).order_by("-pk")
