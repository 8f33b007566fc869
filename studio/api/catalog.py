"""Teachers, data sets and presets over REST."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from django.db.models import Q, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from simcore.presets import PRESETS, Preset
from studio.api.endpoint import AnyAccept, Endpoint, ListEndpoint, PageQuery
from studio.api.fields import Text
from studio.catalog.models import Dataset, Entry, Teacher
from studio.catalog.sampling import sampling_of, teacher_sample
from studio.catalog.selectors import datasets, teachers
from studio.catalog.services import dataset_delete, entry_change, teacher_delete
from studio.common.permissions import may_change, may_create, require, signed_in_user
from studio.jobs.lifecycle import ENDED_STATES, JobState
from studio.runs.fields import all_leaves, value_at

EntryType = TypeVar("EntryType", bound=Entry)


class CatalogueQuery(PageQuery):
    q = Text(max_length=200, required=False, allow_blank=True, help_text="Part of the title or of the reference.")
    ordering = serializers.ChoiceField(choices=["title", "-title", "created", "-created"], default="title")


class EntryChange(serializers.Serializer[Any]):
    """What is left out stays."""

    title = Text(max_length=200, required=False)
    licence = Text(max_length=500, required=False, allow_blank=True, help_text="Of the weights or of the images.")
    source = Text(max_length=2000, required=False, allow_blank=True, help_text="Where it comes from.")  # type: ignore[assignment]


ENTRY_FIELDS = ("id", "reference", "title", "owner", "licence", "source", "sha256", "created_at")


class TeacherRow(serializers.ModelSerializer[Teacher]):
    """A teacher that runs can distil."""

    owner = serializers.CharField(source="owner.username", default="", help_text="Empty: it ships with the studio.")
    runs = serializers.IntegerField(source="run_count", help_text="How many runs use it.")

    class Meta:
        model = Teacher
        fields = (*ENTRY_FIELDS, "description", "dataset", "runs")
        extra_kwargs = {"dataset": {"help_text": "Number of the data set that it was trained on."}}  # noqa: RUF012


class TeacherDetail(TeacherRow):
    """With its card: architecture, parameters, evaluation."""

    card = serializers.DictField()
    sigma_range = serializers.ListField(child=serializers.FloatField(), help_text="Least and greatest noise level.")
    samples = serializers.SerializerMethodField(help_text="A picture is there.")
    drawing = serializers.SerializerMethodField(help_text="Samples are being drawn.")
    drawing_failed = serializers.SerializerMethodField(help_text="Why the last drawing failed; empty: it did not.")

    class Meta(TeacherRow.Meta):
        fields = (*TeacherRow.Meta.fields, "card", "sigma_range", "samples", "drawing", "drawing_failed")  # type: ignore[assignment]

    def get_samples(self, row: Teacher) -> bool:
        return bool(row.samples)

    def get_drawing(self, row: Teacher) -> bool:
        job = sampling_of(row)
        return job is not None and job.state not in ENDED_STATES

    def get_drawing_failed(self, row: Teacher) -> str:
        job = sampling_of(row)
        return job.reason if job is not None and job.state == JobState.FAILED else ""


class DatasetRow(serializers.ModelSerializer[Dataset]):
    """A data set that teachers are trained on and students measured against."""

    owner = serializers.CharField(source="owner.username", default="", help_text="Empty: it ships with the studio.")
    teachers = serializers.IntegerField(source="teacher_count", help_text="How many teachers name it.")

    class Meta:
        model = Dataset
        fields = (*ENTRY_FIELDS, "teachers")


class DatasetDetail(DatasetRow):
    """With its card: shape, classes, numbers of images."""

    card = serializers.DictField()

    class Meta(DatasetRow.Meta):
        fields = (*DatasetRow.Meta.fields, "card")  # type: ignore[assignment]


class Teachers(ListEndpoint):
    """The catalogue of teachers."""

    query_class, serializer_class = CatalogueQuery, TeacherRow

    def rows(self) -> QuerySet[Teacher]:
        return _found(teachers(), self.asked)


class Datasets(ListEndpoint):
    """The catalogue of data sets."""

    query_class, serializer_class = CatalogueQuery, DatasetRow

    def rows(self) -> QuerySet[Dataset]:
        return _found(datasets(), self.asked)


def _found(entries: QuerySet[EntryType], asked: dict[str, Any]) -> QuerySet[EntryType]:
    if words := asked.get("q"):
        entries = entries.filter(Q(title__icontains=words) | Q(reference__icontains=words))
    return entries.order_by(asked["ordering"].replace("created", "created_at"), "pk")


class TeacherOne(Endpoint):
    """One teacher."""

    serializer_class = TeacherDetail

    def get(self, request: Request, pk: int) -> Response:
        return Response(TeacherDetail(get_object_or_404(teachers(), pk=pk)).data)

    @extend_schema(request=EntryChange, responses={200: TeacherDetail})
    def patch(self, request: Request, pk: int) -> Response:
        """Correct its title, licence or source."""
        _change(self, get_object_or_404(Teacher, pk=pk))
        return self.get(request, pk)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Delete it and its files. 409 while runs use it: `used_by` names them."""
        teacher = get_object_or_404(Teacher, pk=pk)
        require(may_change(request.user, teacher.owner_id), "delete a teacher that is not yours")
        teacher_delete(teacher, signed_in_user(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class DatasetOne(Endpoint):
    """One data set."""

    serializer_class = DatasetDetail

    def get(self, request: Request, pk: int) -> Response:
        return Response(DatasetDetail(get_object_or_404(datasets(), pk=pk)).data)

    @extend_schema(request=EntryChange, responses={200: DatasetDetail})
    def patch(self, request: Request, pk: int) -> Response:
        """Correct its title, licence or source."""
        _change(self, get_object_or_404(Dataset, pk=pk))
        return self.get(request, pk)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Delete it and the studio's copy of its file. 409 while teachers name it: `used_by` names them."""
        dataset = get_object_or_404(Dataset, pk=pk)
        require(may_change(request.user, dataset.owner_id), "delete a data set that is not yours")
        dataset_delete(dataset, signed_in_user(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _change(view: Endpoint, entry: Entry) -> None:
    """Store the request's EntryChange."""
    require(may_change(view.request.user, entry.owner_id), f"change {entry.title}, which is not yours")
    now = {"title": entry.title, "licence": entry.licence, "source": entry.source}
    entry_change(entry, **(now | view.validated(EntryChange)))


class Drawing(serializers.Serializer[Any]):
    """The job that draws."""

    job = serializers.IntegerField()


class EntrySamples(Endpoint):
    """The picture of an entry."""

    is_file = True
    content_negotiation_class = AnyAccept
    model: type[Entry]

    @extend_schema(responses={(200, "image/png"): OpenApiTypes.BINARY})
    def get(self, request: Request, pk: int) -> HttpResponse:
        path = Path(get_object_or_404(self.model, pk=pk).samples or "/")
        if not path.is_file():
            raise Http404("There is no picture of it.")
        return HttpResponse(path.read_bytes(), content_type="image/png")


class DatasetSamples(EntrySamples):
    """Images of a data set, as a PNG."""

    model = Dataset


class TeacherSamples(EntrySamples):
    """What a teacher draws, as a PNG."""

    model = Teacher

    @extend_schema(request=None, responses={202: Drawing})
    def post(self, request: Request, pk: int) -> Response:
        """Draw new samples; the teacher's `drawing` is true meanwhile. 409 while some are being drawn."""
        require(may_create(request.user), "draw samples")
        job = teacher_sample(get_object_or_404(Teacher, pk=pk), signed_in_user(request))
        return Response({"job": job.pk}, status=status.HTTP_202_ACCEPTED)


class PresetRow(serializers.Serializer[Any]):
    """A named starting point for runs."""

    name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    settings = serializers.DictField(help_text="Dotted path → value; null or auto is chosen at the launch.")
    ours = serializers.ListField(
        child=serializers.CharField(), help_text="Settings, or groups of them, that the paper does not give."
    )


class PresetsAnswer(serializers.Serializer[Any]):
    results = PresetRow(many=True)


class Presets(Endpoint):
    """All presets: the paper's tables and our demonstrations."""

    serializer_class = PresetsAnswer

    def get(self, request: Request) -> Response:
        return Response({"results": [_preset(preset) for preset in PRESETS.values()]})


def _preset(preset: Preset) -> dict[str, Any]:
    spec = preset.spec.model_dump(mode="json")
    settings = {leaf.path: value_at(spec, leaf.path) for leaf in all_leaves()}
    facts = {"name": preset.name, "title": preset.title, "description": preset.description}
    return {**facts, "settings": settings, "ours": list(preset.ours)}
