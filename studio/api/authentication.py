"""Who asks: a script with a token, or a browser with a session and its token against forgery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from studio.accounts.models import AccessToken, Scope, User
from studio.accounts.tokens import token_find
from studio.common.permissions import may_view, require

if TYPE_CHECKING:
    from rest_framework.views import APIView


class BearerToken(BaseAuthentication):
    """`Authorization: Bearer sim_…`."""

    def authenticate(self, request: Request) -> tuple[User, AccessToken] | None:
        kind, _, secret = get_authorization_header(request).decode("latin-1").partition(" ")
        if not kind:
            return None
        if kind.lower() != "bearer" or not secret.strip():
            raise AuthenticationFailed("Send “Authorization: Bearer ” and a token, made on the page API.")
        if (token := token_find(secret.strip())) is None:
            raise AuthenticationFailed("The token is unknown, revoked or expired.")
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="SIM Studio"'


ORDER = [Scope.READ, Scope.WRITE, Scope.ADMIN]


class ActiveWithinScope(BasePermission):
    """Signed in and active; a token's scope covers what is asked. What a role may do, each endpoint asks itself."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not may_view(request.user):
            return False
        if isinstance(request.auth, AccessToken):
            require_scope(request.auth, _needed(request, view))
        return True


def _needed(request: Request, view: APIView) -> Scope:
    if getattr(view, "for_administrators", False):
        return Scope.ADMIN
    return Scope.READ if request.method in SAFE_METHODS else Scope.WRITE


def require_scope(token: AccessToken, needed: Scope) -> None:
    """Raises PermissionDenied where the token's scope is too narrow."""
    enough = ORDER.index(Scope(token.scope)) >= ORDER.index(needed)
    require(enough, f"do this with a token of scope “{token.scope}”; it takes “{needed}”")
