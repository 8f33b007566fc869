"""The links by which people come to a study. A link is a way in: only those who may change the study see them."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q, QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from studio.api.endpoint import Endpoint, ListEndpoint, PageQuery
from studio.api.fields import Text
from studio.api.idempotency import idempotent
from studio.api.problems import Unprocessable
from studio.api.studies import own_study
from studio.common.permissions import signed_in_user
from studio.study.links import MOST_AT_ONCE, link_revoke, link_state, open_link_set, personal_links_create
from studio.study.models import Link

SHARE = "share a study that is not yours"
STATES = ("not used", "begun", "finished", "withdrawn", "expired")


class StudyLinkRow(serializers.ModelSerializer[Link]):
    """The open link, or a personal one, which works once."""

    address = serializers.SerializerMethodField(help_text="What people follow.")
    state = serializers.SerializerMethodField(help_text=f"One of: {', '.join(STATES)}.")

    class Meta:
        model = Link
        fields = (
            "id", "personal", "address", "note", "cap", "used", "expires_at", "revoked", "state", "created_at",
        )  # fmt: skip

    def get_address(self, row: Link) -> str:
        return str(self.context["request"].build_absolute_uri(reverse("vote:page", args=(row.token,))))

    def get_state(self, row: Link) -> str:
        return link_state(row, getattr(row, "finished", 0))


class LinksAnswer(serializers.Serializer[Any]):
    """The links that were made, in the order of the notes."""

    results = StudyLinkRow(many=True)


class LinksQuery(PageQuery):
    personal = serializers.BooleanField(required=False, help_text="Only personal links, or only open ones.")


class OpenLink(serializers.Serializer[Any]):
    """What is left out or null has no bound."""

    cap = serializers.IntegerField(
        min_value=1, max_value=100_000, required=False, allow_null=True, help_text="At most so many participants."
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True, help_text="Works until then.")


class NewLinks(serializers.Serializer[Any]):
    """Either how many, or a note for each."""

    count = serializers.IntegerField(min_value=1, max_value=MOST_AT_ONCE, required=False)
    notes = serializers.ListField(
        child=Text(max_length=200, allow_blank=True), min_length=1, max_length=MOST_AT_ONCE, required=False,
        help_text="For whom each is. Only researchers see it.",
    )  # fmt: skip
    expires_at = serializers.DateTimeField(required=False, allow_null=True, help_text="They work until then.")


class StudyLinks(ListEndpoint):
    """All links of the study, newest first, with how far those who follow them are."""

    query_class, serializer_class = LinksQuery, StudyLinkRow

    def rows(self) -> QuerySet[Link]:
        study = own_study(self.request, self.kwargs["pk"], SHARE)
        finished = Count("participants", filter=Q(participants__finished_at__isnull=False))
        links = study.links.annotate(finished=finished).order_by("-pk")
        return links.filter(personal=self.asked["personal"]) if "personal" in self.asked else links

    @extend_schema(
        request=NewLinks,
        responses={201: LinksAnswer},
        examples=[OpenApiExample("Two people", value={"notes": ["Grace", "Alan"]}, request_only=True)],
    )
    @idempotent
    def post(self, request: Request, pk: int) -> Response:
        """Make personal links, each of which works once."""
        study, asked = own_study(request, pk, SHARE), self.validated(NewLinks)
        if ("count" in asked) == ("notes" in asked):
            raise Unprocessable({"count": "say how many, or write a note for each"})
        notes = asked.get("notes") or [""] * asked.get("count", 0)
        links = personal_links_create(study, signed_in_user(request), notes=notes, expires_at=asked.get("expires_at"))
        told = LinksAnswer({"results": links}, context={"request": request})
        return Response(told.data, status=status.HTTP_201_CREATED)


class StudyOpenLink(Endpoint):
    """The open link, by which anybody may begin."""

    @extend_schema(
        request=OpenLink,
        responses={200: StudyLinkRow},
        examples=[OpenApiExample("For fifty people", value={"cap": 50}, request_only=True)],
    )
    def put(self, request: Request, pk: int) -> Response:
        """Make it, or change how many may begin by it and until when. A withdrawn one is followed by another."""
        study, asked = own_study(request, pk, SHARE), self.validated(OpenLink)
        link = open_link_set(
            study, signed_in_user(request), cap=asked.get("cap"), expires_at=asked.get("expires_at")
        )  # fmt: skip
        return Response(StudyLinkRow(link, context={"request": request}).data)


class StudyLinkOne(Endpoint):
    """One link."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int, link_id: int) -> Response:
        """Withdraw it: nobody begins by it any more; who has begun goes on. It stays in the list."""
        study = own_study(request, pk, SHARE)
        link_revoke(get_object_or_404(Link, pk=link_id, study=study), signed_in_user(request))
        return Response(status=status.HTTP_204_NO_CONTENT)
