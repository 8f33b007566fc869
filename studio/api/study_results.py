"""What came of a study: its figures, who took part, the votes, and amendments. Nothing here votes for anybody."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from studio.accounts.models import User
from studio.api.endpoint import Endpoint, ListEndpoint
from studio.api.fields import Text
from studio.api.records import File
from studio.api.studies import LETTERS, own_study, study_of
from studio.common.files import streamed_response
from studio.common.permissions import signed_in_user
from studio.study.amendments import MOST_REASON, participant_exclude, participant_restore, vote_correct
from studio.study.exports import DICTIONARY, dictionary_csv, vote_rows, votes_csv, votes_in_order, votes_json
from studio.study.lifecycle import StudyRefused
from studio.study.methods import methods_paragraph
from studio.study.models import Arm, Exclusion, Participant, Side, Study, Vote
from studio.study.participants import person_trials
from studio.study.results import PersonRow, Results, study_people, study_results

AMEND = "amend a study that is not yours"


# ---- figures


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
    corrections = serializers.IntegerField(help_text="Votes that researchers corrected.")
    kept = SummaryRow(help_text="Without those who are excluded.")
    everyone = SummaryRow(help_text="With them.")
    prompts = PromptResult(many=True)
    needed = NeededRow(many=True)
    methods = serializers.SerializerMethodField(help_text="A paragraph with these figures, as one would print it.")

    def get_methods(self, results: Results) -> str:
        return methods_paragraph(results)


class StudyResults(Endpoint):
    """The tally with its uncertainty."""

    serializer_class = ResultsAnswer

    def get(self, request: Request, pk: int) -> Response:
        """With and without those who are excluded. Figures that the votes do not allow are null and say why."""
        study = study_of(pk)
        try:
            return Response(ResultsAnswer(study_results(study)).data)
        except Arm.DoesNotExist as error:
            raise StudyRefused(str(error)) from None


# ---- participants


class ExclusionRow(serializers.ModelSerializer[Exclusion]):
    """Left out of the results by somebody, perhaps restored since."""

    by = serializers.CharField(source="by.username")
    lifted_by = serializers.CharField(source="lifted_by.username", default=None, allow_null=True)

    class Meta:
        model = Exclusion
        fields = ("reason", "by", "at", "lifted_by", "lifted_at")


class PersonSummary(serializers.Serializer[Any]):
    """Somebody who took part."""

    number = serializers.IntegerField(help_text="In the order in which they began, from 1.")
    finished = serializers.BooleanField(help_text="Answered everything.")
    answered = serializers.IntegerField()
    trials = serializers.IntegerField(help_text="Pairs, without attention checks.")
    tally = TallyRow(source="part.tally")
    left = SideTally(source="part.left", help_text="Wins are votes for the left.")
    seconds = serializers.FloatField(source="part.seconds", allow_null=True, help_text="Median time per pair.")
    checks = serializers.ListField(child=serializers.BooleanField(), help_text="Attention checks: answered right?")
    flags = serializers.ListField(child=serializers.CharField(), help_text="What a person should look at.")
    excluded = serializers.SerializerMethodField()

    def get_excluded(self, row: PersonRow) -> bool:
        return row.exclusion is not None


class TrialVote(serializers.ModelSerializer[Vote]):
    """An answer, or a correction of one."""

    by = serializers.CharField(source="by.username", default=None, allow_null=True, help_text="Of a correction.")
    side = serializers.ChoiceField(choices=Side.choices)

    class Meta:
        model = Vote
        fields = ("id", "side", "at", "seconds", "by", "reason")


class TrialFacts(serializers.Serializer[Any]):
    """One pair as the participant saw it."""

    number = serializers.IntegerField()
    prompt = serializers.CharField()
    check = serializers.BooleanField(help_text="An attention check.")
    expected = serializers.CharField(help_text="Right answer of an attention check.")
    left = serializers.CharField(help_text="Arm shown there.")
    right = serializers.CharField()
    votes = TrialVote(many=True, help_text="The first is the participant's, the last one counts.")


class PersonDetail(PersonSummary):
    """With every trial, and what was amended."""

    consented_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    completion_code = serializers.CharField(help_text="Empty until they have finished.")
    pairs = TrialFacts(many=True, help_text="In the order in which they are shown, attention checks among them.")
    exclusions = ExclusionRow(many=True)


class Reason(serializers.Serializer[Any]):
    reason = Text(max_length=MOST_REASON, help_text="Why: it is published with the results.")


class StudyParticipants(ListEndpoint):
    """Who took part, in the order in which they began."""

    serializer_class = PersonSummary

    def rows(self) -> list[PersonRow]:
        return _people(study_of(self.kwargs["pk"]))


class StudyParticipantOne(Endpoint):
    """One participant, by their number in the study."""

    serializer_class = PersonDetail

    def get(self, request: Request, pk: int, participant_id: int) -> Response:
        return Response(_person(study_of(pk), participant_id))


class _Amendment(Endpoint):
    amend: ClassVar[Callable[[Participant, User, str], object]]

    def _post(self, request: Request, pk: int, number: int) -> Response:
        study = own_study(request, pk, AMEND)
        person = get_object_or_404(Participant, study=study, number=number)
        type(self).amend(person, signed_in_user(request), self.validated(Reason)["reason"])
        return Response(_person(study, number))


class StudyParticipantExclude(_Amendment):
    """Leaving a participant out."""

    amend = participant_exclude

    @extend_schema(
        request=Reason,
        responses={200: PersonDetail},
        examples=[OpenApiExample("Not looking", value={"reason": "failed both checks"}, request_only=True)],
    )
    def post(self, request: Request, pk: int, participant_id: int) -> Response:
        """Leave them out of the results. Their votes stay, and they are listed with the reason."""
        return self._post(request, pk, participant_id)


class StudyParticipantRestore(_Amendment):
    """Counting a participant again."""

    amend = participant_restore

    @extend_schema(request=Reason, responses={200: PersonDetail})
    def post(self, request: Request, pk: int, participant_id: int) -> Response:
        """Count them again; the exclusion stays on record."""
        return self._post(request, pk, participant_id)


def _people(study: Study) -> list[PersonRow]:
    try:
        return study_people(study)
    except Arm.DoesNotExist:
        return []


def _person(study: Study, number: int) -> Any:
    person = get_object_or_404(Participant, study=study, number=number)
    row = next(row for row in _people(study) if row.number == number)
    more = {name: getattr(person, name) for name in ("consented_at", "finished_at", "completion_code")}
    exclusions = person.exclusions.select_related("by", "lifted_by")
    facts = vars(row) | more | {"pairs": person_trials(person), "exclusions": exclusions}
    return PersonDetail(SimpleNamespace(**facts)).data


# ---- votes


class VoteRow(serializers.Serializer[Any]):
    """A vote with what the export's columns say of it; empty is null."""

    def get_fields(self) -> dict[str, Any]:
        """The columns of the CSV, by its data dictionary."""
        kinds: dict[str, Any] = dict.fromkeys(("vote", "participant", "trial", "prompt"), serializers.IntegerField)
        kinds |= dict.fromkeys(("counts", "excluded", "attention_check"), serializers.BooleanField)
        optional: dict[str, Any] = dict.fromkeys(("prompt_class", "replaces", "replaced_by"), serializers.IntegerField)
        optional |= {"seconds": serializers.FloatField}
        return {
            name: kinds[name](help_text=text)
            if name in kinds
            else optional.get(name, serializers.CharField)(help_text=text, allow_null=True)
            for name, text in DICTIONARY.items()
        }


class Correction(serializers.Serializer[Any]):
    side = serializers.ChoiceField(choices=Side.choices, help_text="What the participant meant.")
    reason = Text(max_length=MOST_REASON, help_text="Why: it is published with the results.")


class StudyVotes(ListEndpoint):
    """Every vote, by participant, trial and time. Nothing is left out: what does not count is marked."""

    serializer_class = VoteRow

    def rows(self) -> QuerySet[Vote]:
        return votes_in_order(study_of(self.kwargs["pk"]))

    def prepare(self, page: list[Any]) -> list[Any]:
        return [_told(row) for row in vote_rows(study_of(self.kwargs["pk"]), page)]


class StudyVoteCorrections(Endpoint):
    """Corrections of a vote that somebody cast."""

    @extend_schema(
        request=Correction,
        responses={201: VoteRow},
        examples=[
            OpenApiExample(
                "A slip", value={"side": "right", "reason": "told us at once"}, request_only=True
            )
        ],
    )  # fmt: skip
    def post(self, request: Request, pk: int, vote_id: int) -> Response:
        """A new vote that replaces this one, which stays on record. 409 where it was corrected meanwhile."""
        study = own_study(request, pk, AMEND)
        votes = Vote.objects.select_related("trial__participant")
        vote = get_object_or_404(votes, pk=vote_id, trial__participant__study=study)
        asked = self.validated(Correction)
        corrected = vote_correct(vote, asked["side"], signed_in_user(request), asked["reason"])
        (row,) = vote_rows(study, votes_in_order(study).filter(pk=corrected.pk))
        return Response(VoteRow(_told(row)).data, status=status.HTTP_201_CREATED)


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if value == "" else value for name, value in row.items()}


# ---- files


class StudyVotesCsv(File):
    """One row a vote."""

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        return streamed_response(votes_csv(study_of(pk)), "text/csv; charset=utf-8", name=f"study-{pk}-votes.csv")


class StudyVotesJson(File):
    """The same with the study's facts and the data dictionary."""

    @extend_schema(responses={(200, "application/json"): OpenApiTypes.OBJECT})
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        return streamed_response(votes_json(study_of(pk)), "application/json", name=f"study-{pk}-votes.json")


class StudyColumns(File):
    """What the columns of the CSV mean."""

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, pk: int) -> HttpResponse:
        study_of(pk)
        headers = {"Content-Disposition": f'attachment; filename="study-{pk}-columns.csv"'}
        return HttpResponse(dictionary_csv(), content_type="text/csv; charset=utf-8", headers=headers)
