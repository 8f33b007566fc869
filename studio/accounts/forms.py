"""Forms of people and their tokens."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, SetPasswordMixin
from django.contrib.auth.validators import UnicodeUsernameValidator

from studio.accounts.audit import audit_record, client_address
from studio.accounts.models import AuditAction, Role, Scope, User
from studio.accounts.throttling import seconds_to_wait
from studio.accounts.tokens import DEFAULT_DAYS, MOST_DAYS


class SignInForm(AuthenticationForm):
    """Django's, which waits after wrong passwords and says how long."""

    def clean(self) -> dict[str, Any]:
        name, address = self.cleaned_data.get("username"), client_address(self.request)  # type: ignore[arg-type]
        if not name:
            return super().clean()
        if wait := seconds_to_wait(name, address):
            raise forms.ValidationError(
                f"Too many wrong passwords. Try again in {-(-wait // 60)} min, "
                "or ask an administrator for a password link.",
                code="throttled",
            )
        try:
            return super().clean()
        except forms.ValidationError:
            audit_record(AuditAction.SIGN_IN_FAILED, actor=name)
            raise


class NewPasswordForm(SetPasswordMixin, forms.Form):  # type: ignore[type-arg]
    """A new password for the person of a link."""

    password1, password2 = SetPasswordMixin.create_password_fields("Password", "Password again")

    def __init__(self, data: Any = None, *, person: User | None = None) -> None:
        super().__init__(data, label_suffix="")
        self._person = person

    def clean(self) -> dict[str, Any]:
        self.validate_passwords("password1", "password2")
        person = self._person or User(username=self.cleaned_data.get("username", ""))
        self.validate_password_for_user(person, "password1")
        return self.cleaned_data


class JoinForm(NewPasswordForm):
    """A name and a password for a new account."""

    username = forms.CharField(
        max_length=150,
        validators=[UnicodeUsernameValidator()],
        label="Username",
        help_text="Letters, digits and @ . + - _",
        widget=forms.TextInput(attrs={"autocomplete": "username"}),
    )
    field_order = ("username", "password1", "password2")


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices, initial=Role.RESEARCHER)


class TokenForm(forms.Form):
    name = forms.CharField(max_length=100, label="Name", help_text="What the token is for, as in “cluster script”.")
    scope = forms.ChoiceField(
        choices=Scope.choices, initial=Scope.WRITE, help_text="A token never may more than you may."
    )
    days = forms.IntegerField(min_value=1, max_value=MOST_DAYS, initial=DEFAULT_DAYS, label="Valid for (days)")
