"""Oneself, one's tokens, and for administrators the people and the audit log."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from studio.accounts.links import link_address
from studio.accounts.models import AccessToken, AccountLink, AuditAction, AuditEntry, LinkPurpose, Role, Scope, User
from studio.accounts.services import (
    invitation_create,
    invitation_withdraw,
    person_deactivate,
    person_reactivate,
    person_set_role,
    reset_link_create,
)
from studio.accounts.tokens import DEFAULT_DAYS, MOST_DAYS, token_create, token_revoke
from studio.api.authentication import require_scope
from studio.api.endpoint import Endpoint, ListEndpoint, PageQuery
from studio.api.fields import Text
from studio.common.permissions import may_administer, require, signed_in_user


class MeRow(serializers.ModelSerializer[User]):
    """The person behind the request."""

    class Meta:
        model = User
        fields = ("id", "username", "role")


class Me(Endpoint):
    """Who am I?"""

    serializer_class = MeRow

    def get(self, request: Request) -> Response:
        return Response(MeRow(signed_in_user(request)).data)


class TokenRow(serializers.ModelSerializer[AccessToken]):
    """A token, without its secret."""

    class Meta:
        model = AccessToken
        fields = ("id", "name", "scope", "prefix", "created_at", "expires_at", "last_used_at")


class TokenMade(TokenRow):
    """With the secret, this once."""

    token = serializers.CharField()

    class Meta(TokenRow.Meta):
        fields = (*TokenRow.Meta.fields, "token")  # type: ignore[assignment]


class NewToken(serializers.Serializer[Any]):
    name = Text(max_length=100, help_text="What it is for.")
    scope = serializers.ChoiceField(choices=Scope.choices, help_text="Each includes the one before.")
    days = serializers.IntegerField(min_value=1, max_value=MOST_DAYS, default=DEFAULT_DAYS, help_text="How long.")


class Tokens(ListEndpoint):
    """One's own tokens."""

    serializer_class = TokenRow

    def rows(self) -> QuerySet[AccessToken]:
        return AccessToken.objects.filter(user=signed_in_user(self.request)).order_by("-pk")

    @extend_schema(request=NewToken, responses={201: TokenMade})
    def post(self, request: Request) -> Response:
        """Make a token; the answer shows it, and nothing ever will again.

        Neither wider than the token that asks, nor longer-lived.
        """
        asked = self.validated(NewToken)
        until = None
        if isinstance(request.auth, AccessToken):
            require_scope(request.auth, Scope(asked["scope"]))
            until = request.auth.expires_at
        token, secret = token_create(
            user=signed_in_user(request), name=asked["name"], scope=Scope(asked["scope"]), days=asked["days"],
            until=until,
        )  # fmt: skip
        return Response({**TokenRow(token).data, "token": secret}, status=status.HTTP_201_CREATED)


class TokenOne(Endpoint):
    """One of one's own tokens."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Revoke it."""
        user = signed_in_user(request)
        token_revoke(get_object_or_404(AccessToken, pk=pk, user=user), actor=user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class AdministratorEndpoint(Endpoint):
    """Asks for the role before anything else."""

    for_administrators = True
    to_do = "manage people"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        require(may_administer(request.user), self.to_do)


class AdministratorList(AdministratorEndpoint, ListEndpoint):
    """A list for administrators."""


class PersonRow(serializers.ModelSerializer[User]):
    """A person."""

    class Meta:
        model = User
        fields = ("id", "username", "role", "is_active", "date_joined", "last_login")


class PersonChange(serializers.Serializer[Any]):
    """What is left out stays."""

    role = serializers.ChoiceField(choices=Role.choices, required=False)
    is_active = serializers.BooleanField(required=False)


class People(AdministratorList):
    """Everybody, by name."""

    serializer_class = PersonRow

    def rows(self) -> QuerySet[User]:
        return User.objects.order_by("username")


class PersonOne(AdministratorEndpoint):
    """One person."""

    serializer_class = PersonRow

    def get(self, request: Request, pk: int) -> Response:
        return Response(PersonRow(get_object_or_404(User, pk=pk)).data)

    @extend_schema(request=PersonChange, responses={200: PersonRow})
    def patch(self, request: Request, pk: int) -> Response:
        """Change the role, deactivate, reactivate."""
        person, actor = get_object_or_404(User, pk=pk), signed_in_user(request)
        asked = self.validated(PersonChange)
        if "role" in asked:
            person_set_role(person, Role(asked["role"]), actor=actor)
        if "is_active" in asked:
            (person_reactivate if asked["is_active"] else person_deactivate)(person, actor=actor)
        return Response(PersonRow(get_object_or_404(User, pk=pk)).data)


class LinkRow(serializers.ModelSerializer[AccountLink]):
    """An invitation that has not been used."""

    class Meta:
        model = AccountLink
        fields = ("id", "role", "created_at", "expires_at")


class LinkMade(LinkRow):
    """With its address, this once."""

    url = serializers.CharField()

    class Meta(LinkRow.Meta):
        fields = (*LinkRow.Meta.fields, "url")  # type: ignore[assignment]


class ResetLinkMade(serializers.Serializer[Any]):
    """A password link with its address, this once."""

    id = serializers.IntegerField()
    expires_at = serializers.DateTimeField()
    url = serializers.CharField()


class NewInvitation(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=Role.choices)


class Invitations(AdministratorList):
    """Invitations that have not been used."""

    serializer_class = LinkRow

    def rows(self) -> QuerySet[AccountLink]:
        return AccountLink.objects.filter(purpose=LinkPurpose.INVITE, used_at__isnull=True).order_by("-pk")

    @extend_schema(request=NewInvitation, responses={201: LinkMade})
    def post(self, request: Request) -> Response:
        """Make a link by which one person joins; the answer shows it, this once."""
        role = Role(self.validated(NewInvitation)["role"])
        link, secret = invitation_create(role=role, actor=signed_in_user(request))
        body = {**LinkRow(link).data, "url": link_address(request._request, secret)}
        return Response(body, status=status.HTTP_201_CREATED)


class InvitationOne(AdministratorEndpoint):
    """One invitation."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Withdraw it."""
        link = get_object_or_404(AccountLink, pk=pk, purpose=LinkPurpose.INVITE, used_at__isnull=True)
        invitation_withdraw(link, actor=signed_in_user(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class PasswordLinks(AdministratorEndpoint):
    """A link by which a person chooses a new password."""

    @extend_schema(request=None, responses={201: ResetLinkMade})
    def post(self, request: Request, pk: int) -> Response:
        """Make it; the answer shows it, this once. Earlier ones stop working."""
        link, secret = reset_link_create(get_object_or_404(User, pk=pk), actor=signed_in_user(request))
        body = {"id": link.pk, "expires_at": link.expires_at, "url": link_address(request._request, secret)}
        return Response(ResetLinkMade(body).data, status=status.HTTP_201_CREATED)


class AuditQuery(PageQuery):
    actor = Text(max_length=150, required=False)
    action = serializers.ChoiceField(choices=AuditAction.choices, required=False)


class AuditRow(serializers.ModelSerializer[AuditEntry]):
    """Who did what."""

    class Meta:
        model = AuditEntry
        fields = ("id", "at", "actor", "action", "subject", "address")


class Audit(AdministratorList):
    """The audit log, newest first."""

    query_class, serializer_class = AuditQuery, AuditRow

    def rows(self) -> QuerySet[AuditEntry]:
        given = {name: self.asked[name] for name in ("actor", "action") if name in self.asked}
        return AuditEntry.objects.filter(**given).order_by("-pk")
