"""Forms of the page on which a study is shared."""

from __future__ import annotations

from typing import Any

from django import forms

from studio.study.links import MOST_AT_ONCE


def _expiry() -> forms.DateTimeField:
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    return forms.DateTimeField(required=False, label="Works until (UTC)", help_text="Empty: no end.", widget=widget)


class OpenLinkForm(forms.Form):
    cap = forms.IntegerField(
        required=False, min_value=1, max_value=100_000, label="At most (participants)", help_text="Empty: no limit."
    )
    expires_at = _expiry()


class PersonalLinksForm(forms.Form):
    count = forms.IntegerField(
        required=False, min_value=1, max_value=MOST_AT_ONCE, label="How many", help_text="Or write a note for each."
    )
    notes = forms.CharField(
        required=False,
        max_length=110_000,
        label="Notes",
        help_text="One line a link: for whom it is. Only researchers see it.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    expires_at = _expiry()

    def clean(self) -> dict[str, Any]:
        """Either a number, or lines, or both with the same count."""
        given = self.cleaned_data
        lines = [line.strip() for line in given.get("notes", "").splitlines() if line.strip()]
        count = given.get("count")
        if not lines and not count and not self.errors:
            self.add_error("count", "Say how many, or write a note for each.")
        elif lines and count and count != len(lines):
            self.add_error("count", f"There are {len(lines)} notes: leave this empty, or write {len(lines)}.")
        given["notes"] = lines or [""] * (count or 0)
        return given
