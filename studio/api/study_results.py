"""What came of a study: the page's figures as JSON."""

from __future__ import annotations

import math
from typing import Any

from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from studio.api.endpoint import Endpoint
from studio.api.studies import LETTERS, study_of
from studio.study.models import Arm


class Figure(serializers.Serializer[Any]):
    """A figure, or null and `why` where the votes do not allow it."""

    why = serializers.CharField(help_text="Why there is no figure; empty where there is one.")

    def to_representation(self, instance: Any) -> dict[str, Any]:
        names: list[str] = list(self.fields.keys())
        return {name: getattr(instance, name, "" if name == "why" else None) for name in names}


class IntervalFigure(Figure):
    """A 95 % interval of a share, in 0 to 1."""

    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)


class TestFigure(Figure):
    """The exact two-sided binomial test of one half."""

    successes = serializers.IntegerField(allow_null=True)
    trials = serializers.IntegerField(allow_null=True)
    p = serializers.FloatField(allow_null=True)


class AgreementFigure(Figure):
    """Krippendorff's α, nominal."""

    alpha = serializers.FloatField(allow_null=True)


class TallyRow(serializers.Serializer[Any]):
    """Votes for the arm, for the other, and for neither."""

    wins = serializers.IntegerField()
    losses = serializers.IntegerField()
    none = serializers.IntegerField(help_text="No preference.")
    votes = serializers.IntegerField(help_text="All of them.")
    share = serializers.SerializerMethodField(help_text="Of the arm, no preference split evenly; null without votes.")

    def get_share(self, row: Any) -> float | None:
        return None if math.isnan(row.share) else row.share


class SideTally(TallyRow):
    """Votes for the left, for the right, and for neither."""


class BiasRow(serializers.Serializer[Any]):
    """Do people prefer a side?"""

    left = SideTally(help_text="Wins are votes for the left.")
    interval = IntervalFigure()
    test = TestFigure()
    arm_left = TallyRow(help_text="The arm's, where it was shown on the left.")
    arm_right = TallyRow()


class SummaryRow(serializers.Serializer[Any]):
    """One arm against the other."""

    participants = serializers.IntegerField(help_text="With a vote.")
    tally = TallyRow()
    headline = IntervalFigure(help_text="Of the share: bootstrap over participants and prompts.")
    wilson = IntervalFigure(help_text="Of the share, as if votes were independent.")
    test = TestFigure(help_text="As if votes were independent; no preference is left out.")
    bias = BiasRow()
    agreement = AgreementFigure()
    seconds = serializers.FloatField(allow_null=True, help_text="Median time per pair.")


class PromptResult(serializers.Serializer[Any]):
    """The votes on one prompt that count."""

    number = serializers.IntegerField(help_text="From 1.")
    text = serializers.CharField()
    tally = TallyRow(source="part.tally")
    interval = IntervalFigure(help_text="Wilson's, of the share.")
    seconds = serializers.FloatField(source="part.seconds", allow_null=True, help_text="Median.")


class NeededRow(serializers.Serializer[Any]):
    """The votes with a preference that a true share would need to be found at 80 % power."""

    share = serializers.IntegerField(help_text="In percent.")
    votes = serializers.IntegerField()
    have = serializers.IntegerField()
    missing = serializers.IntegerField()


class ComparedArm(serializers.ModelSerializer[Arm]):
    """What is compared."""

    arm = serializers.SerializerMethodField(help_text="A or B.")

    class Meta:
        model = Arm
        fields = ("arm", "label")

    def get_arm(self, row: Arm) -> str:
        return LETTERS[row.position]


class ResultsAnswer(serializers.Serializer[Any]):
    """The figures of the page, from the votes that count, without attention checks."""

    arm = ComparedArm(help_text="Whose share is told.")
    other = ComparedArm()
    state = serializers.CharField(source="study.state")
    participants_wanted = serializers.IntegerField(source="study.participants_wanted")
    finished = serializers.IntegerField(help_text="Participants who answered everything and count.")
    peeking = serializers.BooleanField(
        help_text="The study is open and has not reached its target: to stop now because it looks good would inflate "
        "significance."
    )
    corrections = serializers.IntegerField(help_text="Votes that count and that researchers corrected.")
    kept = SummaryRow(help_text="Without those who are excluded.")
    everyone = SummaryRow(help_text="With them.")
    prompts = PromptResult(many=True)
    needed = NeededRow(many=True)
    methods = serializers.SerializerMethodField(help_text="A paragraph with these figures, as one would print it.")

    def get_methods(self, results: Any) -> str:
        from studio.study.methods import methods_paragraph

        return methods_paragraph(results)


class StudyResults(Endpoint):
    """The tally with its uncertainty."""

    serializer_class = ResultsAnswer

    def get(self, request: Request, pk: int) -> Response:
        """With and without those who are excluded. Figures that the votes do not allow are null and say why.

        404 while the study has not two arms.
        """
        # NumPy and SciPy are loaded with the first results, not with the web server.
        from studio.study.results import study_results

        study = study_of(pk)
        try:
            return Response(ResultsAnswer(study_results(study)).data)
        except Arm.DoesNotExist as error:
            raise Http404(str(error)) from None
