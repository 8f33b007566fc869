"""Who took part in a study, the votes, and amendments. Nothing here votes for anybody."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

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
from studio.api.studies import own_study, study_of
from studio.api.study_results import SideTally, TallyRow
from studio.common.files import streamed_response
from studio.common.permissions import may_change, signed_in_user
from studio.study.amendments import MOST_REASON, participant_exclude, participant_restore, vote_correct
from studio.study.exports import DICTIONARY, dictionary_csv, vote_rows, votes_csv, votes_in_order, votes_json
from studio.study.models import Arm, Exclusion, Participant, Side, Study, Vote
from studio.study.participants import person_trials

if TYPE_CHECKING:
    from studio.study.results import PersonRow

AMEND = "amend a study that is not yours"


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

    def get_excluded(self, row: Any) -> bool:
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
    completion_code = serializers.CharField(
        help_text="Only for those who may change the study; empty until they have finished."
    )
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
        return Response(_person(request, study_of(pk), participant_id))


class _Amendment(Endpoint):
    amend: ClassVar[Callable[[Participant, User, str], object]]

    def _post(self, request: Request, pk: int, number: int) -> Response:
        study = own_study(request, pk, AMEND)
        person = get_object_or_404(Participant, study=study, number=number)
        type(self).amend(person, signed_in_user(request), self.validated(Reason)["reason"])
        return Response(_person(request, study, number))


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
    # NumPy and SciPy are loaded with the first results, not with the web server.
    from studio.study.results import study_people

    try:
        return study_people(study)
    except Arm.DoesNotExist:
        return []


def _person(request: Request, study: Study, number: int) -> Any:
    person = get_object_or_404(Participant, study=study, number=number)
    row = next(row for row in _people(study) if row.number == number)
    code = person.completion_code if may_change(request.user, study.owner_id) else ""
    more = {"consented_at": person.consented_at, "finished_at": person.finished_at, "completion_code": code}
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
        study = study_of(self.kwargs["pk"])
        return [_told(row) for row in vote_rows(study, page, private=_sees_who(self.request, study))]


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
        (row,) = vote_rows(study, votes_in_order(study).filter(pk=corrected.pk), private=True)
        return Response(VoteRow(_told(row)).data, status=status.HTTP_201_CREATED)


def _sees_who(request: Request, study: Study) -> bool:
    """Codes and notes of links could tell who somebody is."""
    return may_change(request.user, study.owner_id)


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if value == "" else value for name, value in row.items()}


# ---- files


class StudyVotesCsv(File):
    """One row a vote."""

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        study = study_of(pk)
        rows = votes_csv(study, private=_sees_who(request, study))
        return streamed_response(rows, "text/csv; charset=utf-8", name=f"study-{pk}-votes.csv")


class StudyVotesJson(File):
    """The same with the study's facts and the data dictionary."""

    @extend_schema(responses={(200, "application/json"): OpenApiTypes.OBJECT})
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        study = study_of(pk)
        rows = votes_json(study, private=_sees_who(request, study))
        return streamed_response(rows, "application/json", name=f"study-{pk}-votes.json")


class StudyColumns(File):
    """What the columns of the CSV mean."""

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, pk: int) -> HttpResponse:
        study_of(pk)
        headers = {"Content-Disposition": f'attachment; filename="study-{pk}-columns.csv"'}
        return HttpResponse(dictionary_csv(), content_type="text/csv; charset=utf-8", headers=headers)
