"""The forms of the catalogue."""

from __future__ import annotations

from typing import Any

from django import forms

from studio.catalog.folder import FolderFile
from studio.catalog.imports import LONGEST_NETWORK, ImportFacts
from studio.catalog.models import Dataset, Entry, Upload
from studio.common.strict_json import read_json


class EntryForm(forms.Form):
    """What people say of a teacher or a data set."""

    title = forms.CharField(max_length=200)
    licence = forms.CharField(max_length=500, required=False, help_text="Of the weights or of the images.")
    source = forms.CharField(
        max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2}), help_text="Where it comes from."
    )

    def __init__(self, data: Any = None, *, entry: Entry) -> None:
        initial = {"title": entry.title, "licence": entry.licence, "source": entry.source}
        super().__init__(data, initial=initial, label_suffix="")


class ImportForm(forms.Form):
    """A file (sent with the form, sent before, or in the import folder) and what people say of it."""

    file = forms.FileField(required=False, max_length=255, allow_empty_file=True, label="File", widget=forms.FileInput)
    upload = forms.UUIDField(required=False, widget=forms.HiddenInput)
    path = forms.ChoiceField(required=False, label="Or a file on the server")
    title = forms.CharField(max_length=200, required=False, help_text="Empty: the file's name.")
    licence = forms.CharField(max_length=500, required=False, help_text="Of the weights or of the images.")
    source = forms.CharField(max_length=1000, required=False, help_text="Where the file comes from, e.g. its address.")
    dataset = forms.ModelChoiceField(
        Dataset.objects.all(), required=False, label="Trained on", empty_label="not in the catalogue",
        help_text="For a teacher: the data set that its samples are measured against.",
    )  # fmt: skip
    network = forms.CharField(
        required=False, max_length=LONGEST_NETWORK, widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text="Only for .safetensors and .pt files, which hold weights alone: the network's configuration, or a "
        "whole teacher.json.",
        label="Network, as JSON",
    )  # fmt: skip

    def __init__(self, data: Any = None, files: Any = None, *, folder: list[FolderFile]) -> None:
        super().__init__(data, files, label_suffix="")
        self.kept: Upload | None = None  # the file is here, though the form was refused
        choices = [("", "none"), *((file.path, file.path) for file in folder)]
        self.fields["path"] = forms.ChoiceField(choices=choices, required=False, label="Or a file on the server")

    @property
    def facts(self) -> ImportFacts:
        """Of a valid form."""
        values = self.cleaned_data
        return ImportFacts(
            **{name: values[name] for name in ("title", "licence", "source", "dataset")}, network=values["network"]
        )

    def clean_network(self) -> dict[str, Any] | None:
        text = self.cleaned_data["network"].strip()
        if not text:
            return None
        try:
            network = read_json(text)
        except ValueError as error:
            raise forms.ValidationError(f"This is not JSON: {error}.") from None
        if not isinstance(network, dict):
            raise forms.ValidationError('This should be an object, as in {"preconditioning": "edm", …}.')
        return network

    def clean(self) -> dict[str, Any]:
        given = [name for name in ("file", "upload", "path") if self.cleaned_data.get(name)]
        if len(given) != 1 and not self.errors:
            self.add_error("file", "Choose one file." if not given else "Choose one file only: here or on the server.")
        return self.cleaned_data
