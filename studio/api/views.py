"""The pages about the API: one's tokens, and the interactive reference."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from studio.accounts.forms import TokenForm
from studio.accounts.models import AccessToken, Scope
from studio.accounts.tokens import token_create, token_revoke
from studio.common.permissions import may_view, require, signed_in_user


@never_cache
@require_http_methods(["GET", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """One's tokens; making one shows it, this once."""
    require(may_view(request.user), "use the API")
    user = signed_in_user(request)
    form = TokenForm(request.POST if request.method == "POST" else None, label_suffix="")
    secret = ""
    if form.is_valid():
        asked = form.cleaned_data
        _, secret = token_create(user=user, name=asked["name"], scope=Scope(asked["scope"]), days=asked["days"])
        form = TokenForm(label_suffix="")
    context = {"form": form, "secret": secret, "now": timezone.now(), "tokens": AccessToken.objects.filter(user=user)}
    return render(request, "api/tokens.html", context, status=422 if form.errors else 200)


@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    """One of one's own tokens stops working."""
    require(may_view(request.user), "use the API")
    user = signed_in_user(request)
    token_revoke(get_object_or_404(AccessToken, pk=pk, user=user), actor=user)
    messages.success(request, "The token is revoked.")
    return redirect("api-pages:tokens")


@require_GET
def reference(request: HttpRequest) -> HttpResponse:
    """Every endpoint, to be read and tried."""
    require(may_view(request.user), "use the API")
    return render(request, "api/reference.html")
