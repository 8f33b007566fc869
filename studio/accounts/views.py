"""Signing in and out, and one's own password."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import views
from django.contrib.auth.forms import PasswordChangeForm
from django.http import HttpResponse
from django.urls import reverse_lazy


class SignIn(views.LoginView):
    """Sign in; somebody who is signed in already goes on to the runs."""

    redirect_authenticated_user = True


class ChangePassword(views.PasswordChangeView):
    """Choose a new password; the notice about the one-time password goes away with it."""

    template_name = "registration/password_change.html"
    success_url = reverse_lazy("runs:list")

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        form.user.has_initial_password = False  # saved with the password
        response = super().form_valid(form)
        messages.success(self.request, "Your password is changed.")
        return response
