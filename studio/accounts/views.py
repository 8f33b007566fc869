"""Signing in and out, one's own password, and the links by which people join or choose a new one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordChangeForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from studio.accounts.audit import audit_record
from studio.accounts.forms import JoinForm, NewPasswordForm, SignInForm
from studio.accounts.models import AccountLink, AuditAction, LinkPurpose
from studio.accounts.services import PeopleError, invitation_accept, link_find, password_reset


@method_decorator(require_http_methods(["GET", "HEAD", "POST"]), name="dispatch")
class SignIn(views.LoginView):
    """Sign in; somebody who is signed in already goes on to the runs."""

    redirect_authenticated_user = True
    authentication_form = SignInForm

    def form_invalid(self, form: Any) -> HttpResponse:
        throttled = any(error.code == "throttled" for error in form.non_field_errors().as_data())
        return self.render_to_response(self.get_context_data(form=form), status=429 if throttled else 200)


class ChangePassword(views.PasswordChangeView):
    """Choose a new password; the notice about the one-time password goes away with it."""

    template_name = "registration/password_change.html"
    success_url = reverse_lazy("runs:list")

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        form.user.has_initial_password = False  # saved with the password
        response = super().form_valid(form)
        audit_record(AuditAction.PASSWORD, actor=form.user.get_username())
        messages.success(self.request, "Your password is changed.")
        return response


@login_not_required
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def open_link(request: HttpRequest, secret: str) -> HttpResponse:
    """What an administrator's link leads to: making an account, or choosing a new password. It works once."""
    link = link_find(secret)
    if link is None:
        return render(request, "registration/link_dead.html", status=410)
    form = _form(link, request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            _use(link, form)
        except PeopleError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "Your password is set. Sign in with it.")
            return redirect("sign-in")
    status = 422 if form.errors else 200
    return render(request, "registration/link.html", {"form": form, "link": link}, status=status)


def _form(link: AccountLink, data: Any) -> NewPasswordForm:
    return JoinForm(data) if link.purpose == LinkPurpose.INVITE else NewPasswordForm(data, person=link.user)


def _use(link: AccountLink, form: NewPasswordForm) -> None:
    given = form.cleaned_data
    if isinstance(form, JoinForm):
        invitation_accept(link, username=given["username"], password=given["password1"])
    else:
        password_reset(link, password=given["password1"])
