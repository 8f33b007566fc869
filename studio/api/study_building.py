"""What a study is built from: its prompts, its two arms, and the images with their review."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response

from studio.api.endpoint import HIGHEST_ID, Endpoint, ListEndpoint, PageQuery
from studio.api.fields import Text
from studio.api.idempotency import idempotent
from studio.api.problems import Unprocessable
from studio.api.records import File
from studio.api.studies import LETTERS, MOST_SEED, ArmRow, own_study, study_files, study_of, told_arms
from studio.api.uploads import NO_ROOM, header_bytes
from studio.catalog.models import Teacher, Upload
from studio.catalog.refusals import TooLarge
from studio.catalog.storage import upload_path
from studio.catalog.uploads import upload_discard
from studio.common.permissions import signed_in_user
from studio.runs.models import Checkpoint
from studio.study.archive import images_upload
from studio.study.arms import MOST_LABEL, MOST_STEPS, arm_set, class_lines
from studio.study.encode import MOST_BYTES
from studio.study.lifecycle import StudyRefused
from studio.study.models import MOST_PROMPTS, Arm, Image, Prompt, Study
from studio.study.pictures import live_images
from studio.study.prompts import MOST_CHARACTERS, MOST_LINES, Line, built_in, check_lines, prompts_draw, prompts_set
from studio.study.review import image_approve, image_reject, image_replace
from studio.study.storage import stored_image

BUILT_IN, CLASSES, LIST = "built-in", "classes", "list"
PICTURE_TYPES = ("image/png", "image/jpeg", "image/webp")
ARM = OpenApiParameter("arm", str, OpenApiParameter.PATH, enum=LETTERS)


@contextmanager
def _named(field: str) -> Iterator[None]:
    """What the services say of a form's file is said of this field."""
    try:
        yield
    except StudyRefused as refusal:
        raise StudyRefused(str(refusal), field if refusal.field == "file" else refusal.field) from None


# ---- prompts


class PromptRow(serializers.ModelSerializer[Prompt]):
    """What both images show."""

    number = serializers.SerializerMethodField(help_text="Its place, from 1.")
    label = serializers.IntegerField(allow_null=True, help_text="Class of class-conditional models, from 0.")  # type: ignore[assignment]

    class Meta:
        model = Prompt
        fields = ("number", "text", "label")

    def get_number(self, row: Prompt) -> int:
        return row.position + 1


class PromptsAnswer(serializers.Serializer[Any]):
    """All prompts, in order."""

    results = PromptRow(many=True)


class NewPrompt(serializers.Serializer[Any]):
    text = Text(max_length=MOST_CHARACTERS)
    label = serializers.IntegerField(  # type: ignore[assignment]
        min_value=0, max_value=10**6 - 1, required=False, allow_null=True,
        help_text="Class to ask of class-conditional models, from 0.",
    )  # fmt: skip


class NewPrompts(serializers.Serializer[Any]):
    """All prompts, in their order."""

    prompts = serializers.ListField(child=NewPrompt(), min_length=1, max_length=MOST_PROMPTS)


class PromptDraw(serializers.Serializer[Any]):
    """Where to draw from, how many, with which seed."""

    source = serializers.ChoiceField(  # type: ignore[assignment]
        choices=[BUILT_IN, CLASSES, LIST],
        help_text="The studio's own list, the classes that the arms know, or the list in `prompts`.",
    )
    prompts = serializers.ListField(
        child=NewPrompt(), min_length=1, max_length=MOST_LINES, required=False, help_text="The list, for `list` only."
    )
    number = serializers.IntegerField(
        min_value=1, max_value=MOST_PROMPTS, required=False, help_text="Left out: the study's."
    )
    seed = serializers.IntegerField(
        min_value=0, max_value=MOST_SEED, required=False, help_text="Left out: the study's."
    )


class StudyPrompts(ListEndpoint):
    """The prompts, in order."""

    serializer_class = PromptRow

    def rows(self) -> QuerySet[Prompt]:
        return study_of(self.kwargs["pk"]).prompts.all()

    @extend_schema(
        request=NewPrompts,
        responses={200: PromptsAnswer},
        examples=[
            OpenApiExample(
                "Two digits",
                value={"prompts": [{"text": "the digit 3", "label": 3}, {"text": "the digit 8", "label": 8}]},
                request_only=True,
            )
        ],
    )
    def put(self, request: Request, pk: int) -> Response:
        """Replace the prompts of a draft. One that stays at its place keeps its images."""
        study = own_study(request, pk)
        rows = prompts_set(study, signed_in_user(request), _lines(self.validated(NewPrompts)["prompts"]))
        return Response(PromptsAnswer({"results": rows}).data)


class StudyPromptDraw(Endpoint):
    """Prompts drawn at random."""

    @extend_schema(
        request=PromptDraw,
        responses={200: PromptsAnswer},
        examples=[
            OpenApiExample(
                "Like the paper", value={"source": BUILT_IN, "number": 17, "seed": 1}, request_only=True
            )
        ],
    )  # fmt: skip
    def post(self, request: Request, pk: int) -> Response:
        """Replace the prompts of a draft by drawn ones; the same seed draws the same. It becomes the study's."""
        study = own_study(request, pk)
        asked = self.validated(PromptDraw)
        lines, origin = _list(study, asked)
        rows = prompts_draw(
            study, signed_in_user(request), lines, number=asked.get("number", study.prompts_wanted),
            seed=asked.get("seed", study.seed), origin=origin, again=asked["source"] == CLASSES,
        )  # fmt: skip
        return Response(PromptsAnswer({"results": rows}).data)


def _lines(prompts: list[dict[str, Any]]) -> list[Line]:
    return [Line(prompt["text"].strip(), prompt.get("label")) for prompt in prompts]


def _list(study: Study, asked: dict[str, Any]) -> tuple[list[Line], str]:
    """What to draw from, and what it is called in the audit trail. Raises Unprocessable, StudyRefused."""
    if (asked["source"] == LIST) != ("prompts" in asked):
        raise Unprocessable({"prompts": "a list belongs to the source “list”, and to no other"})
    if asked["source"] == BUILT_IN:
        return built_in(), "the built-in list"
    if asked["source"] == LIST:
        lines = check_lines(enumerate(_lines(asked["prompts"]), start=1))
        return lines, f"a list of {len(lines):,}"
    if not (classes := class_lines(study)):
        raise Unprocessable({"source": "no arm of the study knows classes"})
    return classes, "the classes of the arms"


# ---- arms


class NewArm(serializers.Serializer[Any]):
    """What an arm shows: `checkpoint` or `teacher` as the kind says, and neither for uploaded images."""

    kind = serializers.ChoiceField(choices=Arm.Kind.choices)
    label = Text(  # type: ignore[assignment]
        max_length=MOST_LABEL, required=False, allow_blank=True,
        help_text="For researchers; participants never see it. Empty: a default.",
    )  # fmt: skip
    checkpoint = serializers.IntegerField(
        min_value=0, max_value=HIGHEST_ID, required=False, help_text="Number of a run's checkpoint; it is kept then."
    )
    teacher = serializers.IntegerField(min_value=0, max_value=HIGHEST_ID, required=False, help_text="Its number.")
    steps = serializers.IntegerField(
        min_value=1, max_value=MOST_STEPS, required=False, help_text="Of Heun's method, for teachers. Left out: 18."
    )


class NewImages(serializers.Serializer[Any]):
    upload = serializers.UUIDField(help_text="A complete upload of one's own: a zip of images with a manifest.")


class StudyArms(ListEndpoint):
    """The arms that are set, A first."""

    serializer_class = ArmRow

    def rows(self) -> QuerySet[Arm]:
        return told_arms().filter(study=study_of(self.kwargs["pk"]))


class StudyArmOne(Endpoint):
    """Arm A or arm B."""

    @extend_schema(
        request=NewArm,
        responses={200: ArmRow},
        parameters=[ARM],
        examples=[
            OpenApiExample("A teacher", value={"kind": "teacher", "teacher": 1, "steps": 18}, request_only=True),
            OpenApiExample("A student", value={"kind": "checkpoint", "checkpoint": 5}, request_only=True),
        ],
    )
    def put(self, request: Request, pk: int, arm: str) -> Response:
        """Say what the arm of a draft shows. Its images go where it shows something else than before."""
        study, position = own_study(request, pk), _position(arm)
        asked = self.validated(NewArm)
        needless = {Arm.Kind.CHECKPOINT: "teacher", Arm.Kind.TEACHER: "checkpoint"}
        for name in ("checkpoint", "teacher"):
            if name in asked and (asked["kind"] == Arm.Kind.UPLOAD or needless[asked["kind"]] == name):
                raise Unprocessable({name: f"an arm of the kind “{asked['kind']}” has none; leave it out"})
        sources = {"checkpoint": _found(Checkpoint, "checkpoint", asked), "teacher": _found(Teacher, "teacher", asked)}
        arm_set(study, signed_in_user(request), position=position, **asked | sources)
        return Response(_arm(study, position))


class StudyArmImages(Endpoint):
    """Uploaded images of an arm."""

    @extend_schema(request=NewImages, responses={200: ArmRow, **NO_ROOM}, parameters=[ARM])
    @idempotent
    def post(self, request: Request, pk: int, arm: str) -> Response:
        """Take them from a complete upload (see uploads), which is used up; they replace all that the arm had.

        The zip holds `manifest.csv` with the columns prompt and file, or `manifest.json`, which maps prompts to files;
        a prompt is named by its number, from 1, or by its text. 422 names the entry that is wrong.
        """
        study, position = own_study(request, pk), _position(arm)
        upload = _upload(request, self.validated(NewImages)["upload"])
        with _named("upload"), study_files(), upload_path(upload.pk).open("rb") as file:
            images_upload(
                study, signed_in_user(request), position=position, name=upload.name, file=file, size=upload.size
            )
        upload_discard(upload)
        return Response(_arm(study, position))


def _position(arm: str) -> int:
    if arm not in LETTERS:
        raise Http404(f"There is no arm “{arm}”: they are A and B.")
    return LETTERS.index(arm)


def _arm(study: Study, position: int) -> Any:
    return ArmRow(told_arms().get(study=study, position=position)).data


def _found(model: type[Checkpoint] | type[Teacher], name: str, asked: dict[str, Any]) -> Any:
    """The row that is asked for, if one is. Raises Unprocessable."""
    if (number := asked.get(name)) is None:
        return None
    if (row := model._default_manager.filter(pk=number).first()) is None:
        raise Unprocessable({name: f"there is no {name} {number}"})
    return row


def _upload(request: Request, number: Any) -> Upload:
    upload = Upload.objects.filter(pk=number, owner=signed_in_user(request), job=None).first()
    if upload is None or not upload_path(upload.pk).is_file():
        raise Unprocessable({"upload": "there is no such upload of yours"})
    if not upload.complete:
        raise Unprocessable({"upload": f"{upload.name} is not complete: {upload.offset:,} of {upload.size:,} bytes"})
    return upload


# ---- images


class ImageQuery(PageQuery):
    review = serializers.ChoiceField(choices=Image.Review.choices, required=False)


class ImageRow(serializers.ModelSerializer[Image]):
    """An arm's picture of a prompt, and what was said of it."""

    prompt = serializers.SerializerMethodField(help_text="The prompt's number, from 1.")
    arm = serializers.SerializerMethodField(help_text="A or B.")
    reviewed_by = serializers.CharField(source="reviewed_by.username", default=None, allow_null=True)
    url = serializers.SerializerMethodField(help_text="The PNG as it was made or uploaded.")

    class Meta:
        model = Image
        fields = (
            "id", "prompt", "arm", "review", "reviewed_by", "reviewed_at", "reason", "superseded", "seed", "nfe",
            "sampler", "width", "height", "sha256", "created_at", "url",
        )  # fmt: skip

    def get_prompt(self, row: Image) -> int:
        return row.prompt.position + 1

    def get_arm(self, row: Image) -> str:
        return LETTERS[row.arm.position]

    def get_url(self, row: Image) -> str:
        return reverse("api:study-image-file", args=(row.arm.study_id, row.pk))


class Verdict(serializers.Serializer[Any]):
    review = serializers.ChoiceField(choices=[Image.Review.APPROVED.value, Image.Review.REJECTED.value])
    reason = Text(max_length=1000, required=False, help_text="Why it is rejected; nothing for an approval.")


class StudyImages(ListEndpoint):
    """The images that count, by prompt and arm, with their review."""

    query_class, serializer_class = ImageQuery, ImageRow

    def rows(self) -> QuerySet[Image]:
        images = live_images(study_of(self.kwargs["pk"]))
        return images.filter(review=self.asked["review"]) if "review" in self.asked else images


class StudyImageOne(Endpoint):
    """One image, also one that was replaced since."""

    serializer_class = ImageRow

    def get(self, request: Request, pk: int, image_id: int) -> Response:
        return Response(ImageRow(_image(pk, image_id)).data)


class StudyImageReview(Endpoint):
    """What a person says of an image."""

    @extend_schema(
        request=Verdict,
        responses={200: ImageRow},
        examples=[OpenApiExample("A rejection", value={"review": "rejected", "reason": "Blurred"}, request_only=True)],
    )
    def put(self, request: Request, pk: int, image_id: int) -> Response:
        """Approve or reject it, while the study is in review. Who looks at images stands in the audit trail."""
        own_study(request, pk)
        image, asked = _image(pk, image_id), self.validated(Verdict)
        if asked["review"] == Image.Review.REJECTED:
            image = image_reject(image, signed_in_user(request), asked.get("reason", ""))
        elif "reason" in asked:
            raise Unprocessable({"reason": "only a rejection has a reason"})
        else:
            image = image_approve(image, signed_in_user(request))
        return Response(ImageRow(image).data)


class StudyImageFile(File):
    """The PNG of an image, as it was made or uploaded. It never changes."""

    json_body = False

    @extend_schema(responses={(200, "image/png"): OpenApiTypes.BINARY})
    def get(self, request: Request, pk: int, image_id: int) -> HttpResponse:
        if (path := stored_image(_image(pk, image_id))) is None:
            raise Http404("The file is gone from the studio's data folder.")
        headers = {"Cache-Control": "private, max-age=31536000, immutable"}
        return HttpResponse(path.read_bytes(), content_type="image/png", headers=headers)

    @extend_schema(
        request=dict.fromkeys(PICTURE_TYPES, OpenApiTypes.BINARY), responses={200: ImageRow, **NO_ROOM}
    )  # fmt: skip
    def put(self, request: Request, pk: int, image_id: int) -> Response:
        """Put another picture into the place of a rejected one; it is a new image, to be reviewed in its turn."""
        own_study(request, pk)
        image = _image(pk, image_id)
        given = (request.content_type or "").partition(";")[0].strip().lower()
        if given not in PICTURE_TYPES:
            raise UnsupportedMediaType(given, f"A picture is sent as {', '.join(PICTURE_TYPES)}.")
        if (length := header_bytes(request, "Content-Length")) > MOST_BYTES:
            raise TooLarge(f"A picture has at most {MOST_BYTES:,} bytes (given: {length:,}).")
        with study_files():
            content = request._request.read(length)
            image = image_replace(image, signed_in_user(request), name="The picture", content=content)
        return Response(ImageRow(image).data)


def _image(study: int, image: int) -> Image:
    rows = Image.objects.select_related("prompt", "arm", "reviewed_by")
    return get_object_or_404(rows, pk=image, prompt__study=study)
