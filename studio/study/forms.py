"""The forms of building a study."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

from django import forms

from studio.catalog.models import Teacher
from studio.runs.models import Checkpoint
from studio.study.arms import MOST_STEPS
from studio.study.lifecycle import StudyRefused
from studio.study.models import MOST_PROMPTS, Arm, Study
from studio.study.selectors import checkpoint_choices
from studio.study.services import DEFAULT_CONSENT, SETTINGS

MOST_SEED = 2**63 - 1


class StudyForm(forms.ModelForm):  # type: ignore[type-arg]  # has no parameter at run time
    """What people set of a study."""

    class Meta:
        model = Study
        fields = SETTINGS
        widgets: ClassVar = {
            "question": forms.Textarea(attrs={"rows": 2}),
            "instructions": forms.Textarea(attrs={"rows": 3}),
            "consent": forms.Textarea(attrs={"rows": 8}),
        }
        labels: ClassVar = {
            "prompts_wanted": "Number of prompts",
            "participants_wanted": "Participants wanted",
            "no_preference": "“No preference”",
            "checks": "Attention checks",
        }
        help_texts: ClassVar = {
            "title": "Participants do not see it.",
            "question": "Asked with every pair. The default is the paper's (Figure 4).",
            "instructions": "Shown before the first pair; may be empty.",
            "consent": "Participants agree to this before anything else.",
            "prompts_wanted": "Each is one pair. The paper has 17 (B.4).",
            "participants_wanted": "The target that the results count towards. The paper has about 30 (B.1).",
            "seed": "Settles which prompts are drawn, the images' noise, and each participant's sides and order.",
            "no_preference": "Offer it beside left and right. It is reported apart.",
            "checks": "Pairs with a known answer among each participant's trials, to flag who does not look.",
        }

    def __init__(self, data: Any = None, *, study: Study | None = None) -> None:
        initial = None if study else {"consent": DEFAULT_CONSENT, "seed": secrets.randbelow(10**6)}
        super().__init__(data, instance=study, initial=initial, label_suffix="")

    def refused(self, refusal: StudyRefused) -> None:
        """Show it at its field."""
        self.add_error(refusal.field if refusal.field in self.fields else None, str(refusal))


class DrawForm(forms.Form):
    """Where prompts are drawn from, how many, with which seed."""

    BUILT_IN, CLASSES, FILE = "built-in", "classes", "file"

    LISTS = ((BUILT_IN, "The built-in list"), (FILE, "A list of your own"))

    source = forms.ChoiceField(choices=LISTS, label="From")
    file = forms.FileField(
        required=False, max_length=255, label="Your list", allow_empty_file=True,
        help_text="A .txt (one a line), .jsonl or .csv file; “prompt”, and “label” for a class.",
    )  # fmt: skip
    number = forms.IntegerField(min_value=1, max_value=MOST_PROMPTS, label="Number")
    seed = forms.IntegerField(min_value=0, max_value=MOST_SEED, label="Seed", help_text="The same seed draws the same.")

    def __init__(self, data: Any = None, files: Any = None, *, study: Study, classes: int) -> None:
        initial = {
            "number": study.prompts_wanted,
            "seed": study.seed,
            "source": self.CLASSES if classes else self.BUILT_IN,
        }
        super().__init__(data, files, initial=initial, label_suffix="", auto_id="draw_%s")
        source = self.fields["source"]
        assert isinstance(source, forms.ChoiceField)
        if classes:
            source.choices = [(self.CLASSES, f"The {classes} classes of the arms"), *self.LISTS]

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("source") == self.FILE and not self.cleaned_data.get("file"):
            self.add_error("file", "Choose the file of your list.")
        return self.cleaned_data


class ArmForm(forms.Form):
    """What an arm shows. Fields of the kinds that are not chosen count for nothing."""

    kind = forms.ChoiceField(choices=Arm.Kind.choices, label="Kind", initial=Arm.Kind.CHECKPOINT)
    run = forms.TypedChoiceField(coerce=int, required=False, empty_value=None, label="Run")
    step = forms.IntegerField(
        required=False, min_value=0, max_value=MOST_SEED, label="Step", help_text="Empty: the newest checkpoint."
    )
    # Grey or RGB: those of points in the plane have two channels.
    teacher = forms.ModelChoiceField(
        Teacher.objects.filter(card__config__img_channels__in=[1, 3]), required=False, label="Teacher",
        empty_label="choose",
    )  # fmt: skip
    steps = forms.IntegerField(
        required=False, min_value=1, max_value=MOST_STEPS, initial=18, label="Heun steps",
        help_text="n steps take 2n − 1 evaluations of the network (EDM, Algorithm 2).",
    )  # fmt: skip
    label = forms.CharField(
        required=False, max_length=100, label="Name", help_text="For researchers; participants never see it."
    )

    def __init__(self, data: Any = None, *, position: int, arm: Arm | None) -> None:
        initial = {} if arm is None else self._initial(arm)
        super().__init__(data, initial=initial, label_suffix="", auto_id=f"arm{position}_%s")
        run = self.fields["run"]
        assert isinstance(run, forms.ChoiceField)
        choices = checkpoint_choices()
        if arm and arm.checkpoint and arm.checkpoint.run_id not in dict(choices):
            choices.append((arm.checkpoint.run_id, arm.checkpoint.run.name))
        run.choices = [("", "choose"), *choices]

    @staticmethod
    def _initial(arm: Arm) -> dict[str, Any]:
        place = {"run": arm.checkpoint.run_id, "step": arm.checkpoint.step} if arm.checkpoint else {}
        return {"kind": arm.kind, "label": arm.label, "teacher": arm.teacher_id, "steps": arm.steps, **place}

    def refused(self, refusal: StudyRefused) -> None:
        """Show it at its field."""
        field = {"checkpoint": "run"}.get(refusal.field, refusal.field)
        self.add_error(field if field in self.fields else None, str(refusal))

    def source(self) -> dict[str, Any]:
        """What `arm_set` takes, of a valid form. Raises StudyRefused where there is no such checkpoint."""
        given = self.cleaned_data
        chosen: dict[str, Any] = {"kind": given["kind"], "label": given["label"]}
        if given["kind"] == Arm.Kind.TEACHER:
            return chosen | {"teacher": given["teacher"], "steps": given["steps"] or 18}
        if given["kind"] == Arm.Kind.CHECKPOINT and given["run"]:
            return chosen | {"checkpoint": _checkpoint(given["run"], given["step"])}
        return chosen


def _checkpoint(run: int, step: int | None) -> Checkpoint:
    there = Checkpoint.objects.filter(run=run, superseded=False, removed=False).order_by("-step")
    found = there.first() if step is None else there.filter(step=step).first()
    if found is None:
        known = ", ".join(str(step) for step in there.values_list("step", flat=True)[:20]) or "none"
        raise StudyRefused(f"There is no checkpoint at that step; there are: {known}.", "step")
    return found
