"""The form of a group of runs; what is valid carries the plan of what would be created."""

from __future__ import annotations

from typing import Any

from django import forms

from simcore.commands.common import with_settings
from simcore.config import RunSpec, SpecError, parse_spec
from simcore.presets import PRESETS
from studio.runs.fields import all_leaves
from studio.runs.groups import Plan, check_plan, plan_ablation, plan_sweep, read_axis, read_seeds
from studio.runs.models import Run, RunGroup

BASES = [(preset.name, preset.title) for preset in PRESETS.values()]


class GroupForm(forms.Form):
    """`plan` and `base_preset` hold the result after validation."""

    name = forms.CharField(max_length=200, required=False, label="Name", help_text="Empty: kind and preset.")
    kind = forms.ChoiceField(choices=RunGroup.Kind.choices, label="Kind", initial=RunGroup.Kind.SWEEP)
    preset = forms.ChoiceField(choices=BASES, label="Start from the preset")
    base_run = forms.IntegerField(
        min_value=1, max_value=10**18 - 1, required=False, label="or from the settings of run number",
        help_text="Empty: the preset's.",
    )  # fmt: skip
    settings = forms.CharField(
        required=False,
        label="Other settings for all",
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "iterations=1000"}),
        help_text="One a line, as in iterations=1000 or student_optimizer.learning_rate=2e-4.",
    )
    first_path = forms.ChoiceField(label="Setting to vary", required=False)
    first_values = forms.CharField(
        max_length=1000, required=False, label="Its values", help_text="Separated by commas: 1e-4, 2e-4."
    )
    second_path = forms.ChoiceField(label="Second setting", required=False)
    second_values = forms.CharField(max_length=1000, required=False, label="Its values", help_text="Empty: one axis.")
    seeds = forms.CharField(max_length=1000, initial="0", label="Seeds", help_text="Each cell once for each: 0, 1, 2.")
    diff_instruct = forms.BooleanField(required=False, label="With Diff-Instruct beside the figure's eight cells")
    plan: Plan
    base_preset: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        settings = [(leaf.path, f"{leaf.path} – {leaf.label}") for leaf in all_leaves() if leaf.path != "seed"]
        for name in ("first_path", "second_path"):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [("", "–"), *settings]

    def clean(self) -> dict[str, Any]:
        if self.errors:
            return self.cleaned_data
        try:
            self.plan = self._plan(self._base())
            check_plan(self.plan)
        except SpecError as error:
            for path, message in error.problems.items():
                self.add_error(self._field_of(path), message if path in ("axes", "seeds") else f"{path}: {message}")
        return self.cleaned_data

    def _base(self) -> RunSpec:
        given = self.cleaned_data
        self.base_preset = given["preset"]
        data = PRESETS[given["preset"]].spec.model_dump(mode="json")
        if number := given.get("base_run"):
            run = Run.objects.select_related("job").filter(pk=number).first()
            if run is None:
                raise SpecError({"base_run": f"there is no run {number}"})
            data, self.base_preset = run.job.spec, run.preset
        lines = [line.strip() for line in given["settings"].splitlines() if line.strip()]
        return parse_spec(with_settings(data, lines, {}))

    def _plan(self, base: RunSpec) -> Plan:
        given = self.cleaned_data
        seeds = read_seeds(given["seeds"])
        if given["kind"] == RunGroup.Kind.ABLATION:
            return plan_ablation(base, seeds, diff_instruct=given["diff_instruct"])
        pairs = [(given[f"{place}_path"], given[f"{place}_values"]) for place in ("first", "second")]
        return plan_sweep(base, [read_axis(path, values) for path, values in pairs if path], seeds)

    def _field_of(self, path: str) -> str | None:
        given = self.cleaned_data
        if path in ("seeds", "base_run"):
            return path
        if path == "axes":
            return "first_values"
        for place in ("first", "second"):
            if path == given.get(f"{place}_path"):
                return f"{place}_values"
        return "settings" if path.split(".")[0] in given.get("settings", "") else None
