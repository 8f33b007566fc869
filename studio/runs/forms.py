"""The New run forms, generated from RunSpec and PretrainSpec: a setting added there appears here by itself."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms

from simcore.config import RunSpec, SpecError, parse_as
from simcore.presets import Preset
from simcore.pretrain_config import PretrainSpec
from studio.catalog.models import Dataset, Teacher
from studio.runs.fields import Leaf, all_leaves, nest, show, spec_groups, value_at
from studio.runs.models import Run
from studio.runs.prepare import prepare, prepare_pretraining
from studio.runs.specs import filled
from studio.runs.teacher_training import standard_for


@dataclass(frozen=True)
class FormGroup:
    """A fieldset."""

    name: str
    title: str
    help: str
    fields: list[forms.BoundField]

    @property
    def advanced(self) -> bool:
        """Folded away unless there is something to see."""
        return self.name not in ("run", "objective", "network")

    @property
    def open(self) -> bool:
        """Something in it is wrong, or differs from the preset."""
        return any(field.errors or show(field.value()) != _preset_value(field) for field in self.fields)


class SpecForm(forms.Form):
    """Name and every setting of a specification of `kind`; `spec` holds the result after validation.

    Its fields begin with `start`'s values and mark what differs from them. `chosen` is the setting that the page asks
    for before the groups.
    """

    name = forms.CharField(max_length=200, required=False, label="Name")
    kind: type[RunSpec] | type[PretrainSpec]
    chosen: str
    spec: Any

    def __init__(
        self, data: Mapping[str, Any] | None, *, start: dict[str, Any], origin: Run | None, initial: dict[str, Any]
    ) -> None:
        """With an `origin` the form starts with that run's settings."""
        super().__init__(data, initial=initial, label_suffix="")
        self.start = start
        if origin:
            self.start = filled(self.start, origin.job.spec)
            self.initial["name"] = f"{origin.name[:195]} copy"
        for leaf in all_leaves(self.kind):
            value = value_at(self.start, leaf.path)
            self.fields[leaf.path] = _form_field(leaf, show(value))
            self.initial[leaf.path] = value if leaf.type is bool else show(value)

    @property
    def groups(self) -> list[FormGroup]:
        """The settings as fieldsets."""
        groups = []
        for group in spec_groups(self.kind):
            names = [leaf.path for leaf in group.leaves if leaf.path != self.chosen]
            names = ["name", *names] if group.name == "run" else names
            groups.append(FormGroup(group.name, group.title, group.help, [self[name] for name in names]))
        return groups

    def check(self) -> None:
        """Raises SpecError where `spec` does not fit what was chosen."""

    def clean(self) -> dict[str, Any]:
        values = {leaf.path: self.cleaned_data.get(leaf.path) for leaf in all_leaves(self.kind)}
        values = {path: (None if value == "" else value) for path, value in values.items()}
        try:
            self.spec = parse_as(self.kind, nest(values))
            if self.chosen not in self.errors:
                self.check()
        except SpecError as error:
            self.add_problems(error)
        return self.cleaned_data

    def add_problems(self, error: SpecError) -> None:
        """Each beside its field, where that has none yet."""
        for path, message in error.problems.items():
            field = _field_of(path, self.fields)
            if field is None or field not in self.errors:
                self.add_error(field, message)


class NewRunForm(SpecForm):
    """A distillation, from a preset."""

    preset = forms.CharField(widget=forms.HiddenInput)
    kind, chosen = RunSpec, "teacher"
    spec: RunSpec

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        preset: Preset,
        teacher: str = "",
        origin: Run | None = None,
    ) -> None:
        start = preset.spec.model_dump(mode="json")
        super().__init__(data, start=start, origin=origin, initial={"preset": preset.name})
        self.fields["name"].help_text = "Empty: preset and number."
        if teacher:
            self.initial["teacher"] = teacher
        self._preset_teacher = str(self.start["teacher"])

    @property
    def missing_teacher(self) -> str:
        """The preset's teacher, where the catalogue lacks it and no other is chosen."""
        lacking = not Teacher.objects.filter(reference=self["teacher"].value()).exists()
        return self._preset_teacher if lacking and self["teacher"].value() == self._preset_teacher else ""

    @property
    def chosen_teacher(self) -> str:
        """The teacher to keep when another preset is taken: one that was chosen, not the preset's own."""
        value = self["teacher"].value() or ""
        return "" if value == self._preset_teacher else str(value)

    def check(self) -> None:
        prepare(self.spec, Teacher.objects.get(reference=self.spec.teacher).read_card())


class NewTeacherForm(SpecForm):
    """The training of a teacher on a data set, from what suits that."""

    kind, chosen = PretrainSpec, "dataset"
    spec: PretrainSpec

    def __init__(self, data: Mapping[str, Any] | None = None, *, dataset: Dataset, origin: Run | None = None) -> None:
        super().__init__(data, start=standard_for(dataset).model_dump(mode="json"), origin=origin, initial={})
        self.fields["name"].help_text = "Of the run and of the teacher. Empty: data set and number."
        self.initial["dataset"] = dataset.reference
        self.dataset = dataset

    def check(self) -> None:
        prepare_pretraining(self.spec, self.dataset.read_card())


def _field_of(path: str, names: Container[str]) -> str | None:
    """The field of a problem's path, which may name an alternative or an element: "network.CompactUNet.width"."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        for candidate in (".".join(parts[:end]), ".".join(parts[:1] + parts[2:end])):
            if candidate in names:
                return candidate
    return None


def _preset_value(field: forms.BoundField) -> str:
    return getattr(field.field, "preset_value", show(field.value()))


def _form_field(leaf: Leaf, preset_value: str) -> forms.Field:
    field = _plain_field(leaf)
    field.unit, field.source, field.preset_value = leaf.unit, leaf.source, preset_value  # type: ignore[attr-defined]
    field.widget.attrs["data-preset-value"] = preset_value
    return field


def _plain_field(leaf: Leaf) -> forms.Field:
    common: dict[str, Any] = {"label": leaf.label, "help_text": leaf.help, "required": not leaf.optional}
    if leaf.path == "teacher":
        teachers = [(teacher.reference, teacher.title) for teacher in Teacher.objects.all()]
        return forms.ChoiceField(choices=teachers, **common)
    if leaf.path == "dataset":
        datasets = [(dataset.reference, dataset.title) for dataset in Dataset.objects.all()]
        return forms.ChoiceField(choices=datasets, **common)
    if leaf.choices:
        return forms.ChoiceField(choices=[(choice, choice) for choice in leaf.choices], **common)
    if leaf.type is bool:
        return forms.BooleanField(**(common | {"required": False}))
    if leaf.type is int:
        return forms.IntegerField(**common, widget=forms.NumberInput(attrs=_limits(leaf)))
    if leaf.type is float:
        return forms.FloatField(**common, widget=forms.NumberInput(attrs={"step": "any", **_limits(leaf)}))
    return forms.CharField(**common)


def _limits(leaf: Leaf) -> dict[str, str]:
    """The browser's own hints; the server's word is pydantic's."""
    names = {"ge": "min", "gt": "min", "le": "max", "lt": "max"}
    return {names[name]: show(bound) for name, bound in leaf.bounds.items()}
