"""Training teachers over REST."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from studio.api.endpoint import Endpoint
from studio.api.fields import Text
from studio.api.idempotency import idempotent
from studio.api.problems import Unprocessable
from studio.api.runs import RunDetail, launched
from studio.api.settings_field import TeacherSettingsField
from studio.catalog.models import Dataset
from studio.common.permissions import may_create, require, signed_in_user
from studio.runs.teacher_training import teacher_train_on


class NewTraining(serializers.Serializer[Any]):
    """A data set, and settings that differ from what suits it."""

    dataset = Text(max_length=500, help_text="Reference of a data set in the catalogue.")
    name = Text(max_length=200, required=False, allow_blank=True, help_text="Of run and teacher; empty: a default.")
    settings = TeacherSettingsField(required=False)


class TrainTeacher(Endpoint):
    """Training a teacher on a data set."""

    @extend_schema(
        request=NewTraining,
        responses={201: RunDetail},
        examples=[
            OpenApiExample(
                "A wider teacher of digits",
                value={"dataset": "digits", "name": "Wide", "settings": {"network.model_channels": 64}},
                request_only=True,
            )
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Launch a run that trains a teacher, which then stands in the catalogue. `Location` is the run's address."""
        require(may_create(request.user), "launch runs")
        asked = self.validated(NewTraining)
        dataset = Dataset.objects.filter(reference=asked["dataset"]).first()
        if dataset is None:
            raise Unprocessable({"dataset": f"the catalogue has no data set “{asked['dataset']}”"})
        run = teacher_train_on(
            owner=signed_in_user(request), name=asked.get("name", ""), dataset=dataset,
            settings=asked.get("settings", {}),
        )  # fmt: skip
        return launched(run)
