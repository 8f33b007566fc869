"""Imports: a file that was uploaded, or lies in the import folder, becomes a teacher or a data set."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from studio.api.endpoint import HIGHEST_ID, Endpoint, ListEndpoint
from studio.api.fields import Text
from studio.api.idempotency import idempotent
from studio.api.problems import Unprocessable
from studio.catalog.folder import folder_files
from studio.catalog.imports import ImportFacts, import_create
from studio.catalog.models import Dataset, Teacher, Upload
from studio.catalog.selectors import import_rows, imports
from studio.common.permissions import may_change, may_create, require, signed_in_user
from studio.jobs.lifecycle import JobState, UserAction
from studio.jobs.models import Job
from studio.jobs.services import actions_of, job_act

ACTIONS = (UserAction.CANCEL.value, UserAction.RETRY.value)


class Entered(serializers.Serializer[Any]):
    """The teacher or data set that the file has become, or was already."""

    id = serializers.IntegerField()
    title = serializers.CharField()
    reference = serializers.CharField(help_text="What a run's settings call it.")
    url = serializers.SerializerMethodField()

    def get_url(self, entry: Teacher | Dataset) -> str:
        return reverse("api:teacher" if isinstance(entry, Teacher) else "api:dataset", args=(entry.pk,))


class ImportSummary(serializers.Serializer[Any]):
    """An import and what came of it."""

    id = serializers.IntegerField()
    name = serializers.CharField(help_text="The file's.")
    what = serializers.CharField(help_text="teacher or data set.")
    owner = serializers.CharField()
    state = serializers.ChoiceField(choices=JobState.choices)
    running = serializers.BooleanField(help_text="It goes on by itself.")
    verdict = serializers.SerializerMethodField(help_text="In one line; why, where the file was refused.")
    entry = Entered(allow_null=True)
    created = serializers.DateTimeField()

    def get_verdict(self, row: Any) -> str:
        return f"{row.verdict} {row.entry.title}." if row.entry else str(row.verdict)


class LogLine(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    level = serializers.CharField()
    message = serializers.CharField()


class ImportDetail(ImportSummary):
    """With what was said during it."""

    sha256 = serializers.CharField(help_text="Of the file, once it was read.")
    actions = serializers.ListField(child=serializers.ChoiceField(choices=ACTIONS), help_text="What can be done now.")
    log = LogLine(many=True)


class NewImport(serializers.Serializer[Any]):
    """Either `upload` or `path`, and what people say of the file."""

    upload = serializers.UUIDField(required=False, help_text="A complete upload of one's own.")
    path = Text(max_length=1000, required=False, help_text="A file of the import folder.")
    title = Text(max_length=200, required=False, allow_blank=True, help_text="Empty: the file's name.")
    licence = Text(max_length=500, required=False, allow_blank=True, help_text="Of the weights or of the images.")
    source = Text(max_length=1000, required=False, allow_blank=True, help_text="Where the file comes from.")  # type: ignore[assignment]
    dataset = serializers.IntegerField(
        min_value=0, max_value=HIGHEST_ID, required=False, help_text="Of a teacher: number of what it was trained on."
    )
    network = serializers.DictField(
        required=False, help_text="Only for .safetensors and .pt files: the network's configuration, or a teacher.json."
    )


class Imports(ListEndpoint):
    """All imports, newest first."""

    serializer_class = ImportSummary

    def rows(self) -> QuerySet[Job]:
        return imports()

    def prepare(self, page: list[Any]) -> list[Any]:
        return import_rows(page)

    @extend_schema(
        request=NewImport,
        responses={201: ImportDetail},
        examples=[
            OpenApiExample(
                "A file of the import folder",
                value={"path": "edm-cifar10-32x32-uncond-vp.pkl", "licence": "CC BY-NC-SA 4.0"},
                request_only=True,
            ),
            OpenApiExample(
                "An upload",
                value={"upload": "3f0a5a0e-6c0f-4f0e-9b58-0d8d5a1d7f10", "title": "My digits"},
                request_only=True,
            ),
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Begin an import. A worker checks the file; follow it at `Location` until `running` is false."""
        require(may_create(request.user), "import teachers and data sets")
        asked = self.validated(NewImport)
        if ("upload" in asked) == ("path" in asked):
            raise Unprocessable({"upload": "name either an upload or a path"})
        facts = ImportFacts(
            title=asked.get("title", "").strip(), licence=asked.get("licence", ""), source=asked.get("source", ""),
            dataset=_dataset(asked.get("dataset")), network=asked.get("network"),
        )  # fmt: skip
        owner = signed_in_user(request)
        upload = _upload(request, asked["upload"]) if "upload" in asked else None
        job = import_create(owner=owner, facts=facts, upload=upload, path=asked.get("path", ""))
        location = reverse("api:import", args=(job.pk,))
        return Response(_detail(job), status=status.HTTP_201_CREATED, headers={"Location": location})


class ImportOne(Endpoint):
    """One import."""

    serializer_class = ImportDetail

    def get(self, request: Request, pk: int) -> Response:
        return Response(_detail(get_object_or_404(imports(), pk=pk)))


class ImportActions(Endpoint):
    """Cancel, retry."""

    @extend_schema(
        request=None,
        responses={200: ImportDetail},
        parameters=[OpenApiParameter("action", str, OpenApiParameter.PATH, enum=ACTIONS)],
    )
    def post(self, request: Request, pk: int, action: str) -> Response:
        """Do it. 409 where the state does not allow it."""
        job = get_object_or_404(imports(), pk=pk)
        require(may_change(request.user, job.owner_id), "act on an import that is not yours")
        if action not in ACTIONS:
            raise Http404(f"There is no action “{action}”.")
        job_act(job, UserAction(action), actor=signed_in_user(request).get_username())
        return Response(_detail(get_object_or_404(imports(), pk=pk)))


class FolderRow(serializers.Serializer[Any]):
    """A file that can be imported by its `path`."""

    path = serializers.CharField(help_text="Below the import folder.")
    size = serializers.IntegerField(help_text="Bytes.")
    kind = serializers.CharField()


class ImportFolder(ListEndpoint):
    """The importable files of the folder that an administrator allows (SIMSTUDIO_IMPORT_FOLDER), by path."""

    serializer_class = FolderRow

    def rows(self) -> list[Any]:
        require(may_create(self.request.user), "import teachers and data sets")
        return folder_files()


def _detail(job: Job) -> Any:
    (row,) = import_rows([job])
    more = {
        "sha256": (job.result or {}).get("file_sha256", ""),
        "actions": [action["name"] for action in actions_of(job) if action["name"] in ACTIONS],
        "log": [{"at": event.at, **event.payload} for event in job.events.filter(type="log").order_by("seq")],
    }
    return ImportDetail(SimpleNamespace(**vars(row), **more)).data


def _dataset(number: int | None) -> Dataset | None:
    if number is None:
        return None
    if (dataset := Dataset.objects.filter(pk=number).first()) is None:
        raise Unprocessable({"dataset": f"there is no data set {number}"})
    return dataset


def _upload(request: Request, number: Any) -> Upload:
    upload = Upload.objects.filter(pk=number, owner=signed_in_user(request)).first()
    if upload is None:
        raise Unprocessable({"upload": "there is no such upload of yours"})
    return upload
