"""Teachers and presets over REST."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from simcore.presets import PRESETS, Preset
from studio.api.endpoint import Endpoint, ListEndpoint, PageQuery
from studio.api.fields import Text
from studio.catalog.models import Teacher
from studio.runs.fields import all_leaves, value_at


class TeachersQuery(PageQuery):
    q = Text(max_length=200, required=False, allow_blank=True, help_text="Part of the title or of the reference.")
    ordering = serializers.ChoiceField(choices=["title", "-title", "created", "-created"], default="title")


class TeacherRow(serializers.ModelSerializer[Teacher]):
    """A teacher that runs can distil."""

    class Meta:
        model = Teacher
        fields = ("id", "reference", "title", "description", "created_at")


class TeacherDetail(TeacherRow):
    """With its card: source, licence, hash, architecture, evaluation."""

    card = serializers.DictField()

    class Meta(TeacherRow.Meta):
        fields = (*TeacherRow.Meta.fields, "card")  # type: ignore[assignment]


class Teachers(ListEndpoint):
    """The catalogue of teachers."""

    query_class, serializer_class = TeachersQuery, TeacherRow

    def rows(self) -> QuerySet[Teacher]:
        teachers = Teacher.objects.order_by(self.asked["ordering"].replace("created", "created_at"), "pk")
        if words := self.asked.get("q"):
            teachers = teachers.filter(Q(title__icontains=words) | Q(reference__icontains=words))
        return teachers


class TeacherOne(Endpoint):
    """One teacher."""

    serializer_class = TeacherDetail

    def get(self, request: Request, pk: int) -> Response:
        return Response(TeacherDetail(get_object_or_404(Teacher, pk=pk)).data)


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
