"""Studies over REST: the list, making and changing them, what can be done with one, and its audit trail.

Prompts, arms and images are in `study_building`, links in `study_links`, figures in `study_results`, participants and
votes in `study_votes`. Nothing here votes: only a participant does.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from studio.api.endpoint import Endpoint, ListEndpoint, PageQuery
from studio.api.fields import Text
from studio.api.idempotency import idempotent
from studio.catalog.refusals import NoSpace
from studio.common.permissions import may_change, may_create, require, signed_in_user
from studio.jobs.lifecycle import JobState
from studio.study.actions import ACTIONS, offered
from studio.study.lifecycle import StudyState
from studio.study.models import MOST_PROMPTS, Arm, Study, StudyEvent
from studio.study.selectors import studies, study_overview
from studio.study.services import study_change, study_clone, study_create, study_delete

MOST_SEED = 2**63 - 1
LETTERS = ("A", "B")
NOT_YOURS = "change a study that is not yours"


# ---- what is sent


class StudiesQuery(PageQuery):
    """Filters of the list."""

    q = Text(max_length=200, required=False, allow_blank=True, help_text="Part of the title.")
    state = serializers.ChoiceField(choices=StudyState.choices, required=False)
    owner = Text(max_length=150, required=False, help_text="Username.")


class StudyChange(serializers.Serializer[Any]):
    """What is left out stays. All is fixed once the study has opened; number of prompts and seed after the draft."""

    title = Text(max_length=200, required=False, help_text="Participants do not see it.")
    question = Text(max_length=1000, required=False, help_text="Asked with every pair.")
    instructions = Text(max_length=4000, required=False, allow_blank=True, help_text="Before the first pair.")
    consent = Text(max_length=8000, required=False, help_text="What participants agree to.")
    prompts_wanted = serializers.IntegerField(
        min_value=1, max_value=MOST_PROMPTS, required=False, help_text="Each is one pair."
    )
    participants_wanted = serializers.IntegerField(min_value=1, max_value=100_000, required=False)
    seed = serializers.IntegerField(
        min_value=0, max_value=MOST_SEED, required=False,
        help_text="Settles the prompts that are drawn, the images' noise, and each participant's sides and order.",
    )  # fmt: skip
    no_preference = serializers.BooleanField(required=False, help_text="Offer it beside left and right.")
    checks = serializers.IntegerField(
        min_value=0, max_value=5, required=False, help_text="Attention checks among each participant's trials."
    )


class NewStudy(StudyChange):
    """A title; what is left out is as the paper has it, and the seed is drawn."""

    title = Text(max_length=200, help_text="Participants do not see it.")


# ---- what is told


class ArmRow(serializers.ModelSerializer[Arm]):
    """What is compared: a student's checkpoint, a teacher with its sampler, or uploaded images."""

    arm = serializers.SerializerMethodField(help_text="A or B.")
    run = serializers.IntegerField(source="checkpoint.run_id", default=None, allow_null=True)
    step = serializers.IntegerField(source="checkpoint.step", default=None, allow_null=True)
    images = serializers.IntegerField(source="there", help_text="How many of its pictures are there.")

    class Meta:
        model = Arm
        fields = ("arm", "label", "kind", "checkpoint", "run", "step", "teacher", "steps", "images")

    def get_arm(self, row: Arm) -> str:
        return LETTERS[row.position]


class StudyRow(serializers.ModelSerializer[Study]):
    """A study as a row of the list."""

    owner = serializers.CharField(source="owner.username")
    state = serializers.ChoiceField(choices=StudyState.choices)
    arms = ArmRow(many=True, source="arms_told", help_text="Those that are set.")
    started = serializers.IntegerField(help_text="Participants who began.")
    finished = serializers.IntegerField(help_text="Participants who answered everything.")

    class Meta:
        model = Study
        fields = (
            "id", "title", "owner", "state", "arms", "prompts_wanted", "participants_wanted", "started", "finished",
            "created_at", "opened_at", "closed_at",
        )  # fmt: skip


class ReviewProgress(serializers.Serializer[Any]):
    """Of all pictures that the study needs."""

    approved = serializers.IntegerField()
    rejected = serializers.IntegerField()
    pending = serializers.IntegerField(help_text="Not looked at, or not there yet.")
    total = serializers.IntegerField()


class StudyDrawing(serializers.Serializer[Any]):
    """The job that draws the images."""

    job = serializers.IntegerField(source="pk")
    state = serializers.ChoiceField(choices=JobState.choices)
    step = serializers.IntegerField(help_text="Images that are drawn.")
    total_steps = serializers.IntegerField()


class StudyDetail(StudyRow):
    """With its settings, and what comes next."""

    prompts = serializers.IntegerField(source="told.prompt_count", help_text="How many there are.")
    review = ReviewProgress(source="told.progress")
    problems = serializers.ListField(
        child=serializers.CharField(), source="told.problems", help_text="What is in the way of drawing, or of opening."
    )
    drawing = StudyDrawing(source="told.job", allow_null=True, help_text="While the state is generating.")
    failure = serializers.CharField(source="told.failure", help_text="Why the last drawing came to nothing.")
    actions = serializers.SerializerMethodField(help_text="What can be done with it now.")

    class Meta(StudyRow.Meta):
        fields = (  # type: ignore[assignment]
            *StudyRow.Meta.fields, "question", "instructions", "consent", "seed", "no_preference", "checks",
            "cloned_from", "prompts", "review", "problems", "drawing", "failure", "actions",
        )  # fmt: skip

    def get_actions(self, study: Study) -> list[str]:
        return [action.name for action in offered(study)]


class EventRow(serializers.ModelSerializer[StudyEvent]):
    """What somebody did."""

    detail = serializers.DictField(help_text="What was before, what is now, why.")

    class Meta:
        model = StudyEvent
        fields = ("id", "at", "actor", "what", "detail")


# ---- finding


def study_of(pk: int) -> Study:
    """Raises Http404."""
    return get_object_or_404(Study.objects.select_related("owner", "job"), pk=pk)


def own_study(request: Request, pk: int, to_do: str = NOT_YOURS) -> Study:
    """Raises Http404, PermissionDenied."""
    study = study_of(pk)
    require(may_change(request.user, study.owner_id), to_do)
    return study


def told_arms() -> QuerySet[Arm]:
    """With what ArmRow tells of them."""
    there = Count("images", filter=Q(images__superseded=False))
    return Arm.objects.select_related("checkpoint").annotate(there=there).order_by("position")


@contextmanager
def study_files() -> Iterator[None]:
    """Files of a study that cannot be written are a 507."""
    try:
        yield
    except OSError as error:
        raise NoSpace(f"The study's files cannot be written ({error.strerror}): nothing has changed.") from None


def _rows() -> QuerySet[Study]:
    return studies().prefetch_related(Prefetch("arms", told_arms(), to_attr="arms_told"))


def detail(pk: int) -> Any:
    """The answer about one study."""
    study: Any = get_object_or_404(_rows().select_related("job"), pk=pk)
    study.told = study_overview(study)
    return StudyDetail(study).data


def _made(study: Study) -> Response:
    headers = {"Location": reverse("api:study", args=(study.pk,))}
    return Response(detail(study.pk), status=status.HTTP_201_CREATED, headers=headers)


# ---- endpoints


class Studies(ListEndpoint):
    """The studies, newest first, and making one."""

    query_class, serializer_class = StudiesQuery, StudyRow

    def rows(self) -> QuerySet[Study]:
        names = {"q": "title__icontains", "state": "state", "owner": "owner__username"}
        return _rows().filter(**{names[name]: value for name, value in self.asked.items() if value and name in names})

    @extend_schema(
        request=NewStudy,
        responses={201: StudyDetail},
        examples=[
            OpenApiExample(
                "The paper's, with two attention checks",
                value={"title": "Student against teacher", "participants_wanted": 30, "checks": 2},
                request_only=True,
            )
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Make a draft. Then set its prompts and arms, draw or upload the images, review them, and open it."""
        require(may_create(request.user), "make studies")
        asked = {"seed": secrets.randbelow(10**6)} | self.validated(NewStudy)
        return _made(study_create(owner=signed_in_user(request), **asked))


class StudyOne(Endpoint):
    """One study."""

    serializer_class = StudyDetail

    def get(self, request: Request, pk: int) -> Response:
        return Response(detail(pk))

    @extend_schema(
        request=StudyChange,
        responses={200: StudyDetail},
        examples=[OpenApiExample("More people", value={"participants_wanted": 40}, request_only=True)],
    )
    def patch(self, request: Request, pk: int) -> Response:
        """Change its settings before it opens; each change is kept in the audit trail with what was before."""
        study = own_study(request, pk)
        study_change(study, signed_in_user(request), **self.validated(StudyChange))
        return Response(detail(pk))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Delete a draft. 409 for a study that is more than that."""
        study_delete(own_study(request, pk), signed_in_user(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class StudyClones(Endpoint):
    """Copies of a study."""

    @extend_schema(request=None, responses={201: StudyDetail})
    @idempotent
    def post(self, request: Request, pk: int) -> Response:
        """A draft of one's own with the same settings, prompts and arms, and without images."""
        require(may_create(request.user), "make studies")
        return _made(study_clone(study_of(pk), signed_in_user(request)))


class StudyActions(Endpoint):
    """Draw, cancel, back to draft, open, close, open again."""

    @extend_schema(
        request=None,
        responses={200: StudyDetail, 507: None},
        parameters=[OpenApiParameter("action", str, OpenApiParameter.PATH, enum=list(ACTIONS))],
    )
    def post(self, request: Request, pk: int, action: str) -> Response:
        """Do it. 409 where the state does not allow it, with everything that is in the way.

        `draw` makes the images that are missing or were rejected; follow the study until it is no longer generating.
        """
        study = own_study(request, pk)
        if action not in ACTIONS:
            raise Http404(f"There is no action “{action}”.")
        with study_files():
            ACTIONS[action].act(study, signed_in_user(request))
        return Response(detail(pk))


class StudyAudit(ListEndpoint):
    """Who did what with the study, newest first."""

    serializer_class = EventRow

    def rows(self) -> QuerySet[StudyEvent]:
        return study_of(self.kwargs["pk"]).events.all()
