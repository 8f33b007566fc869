"""Files on their way in: begin an upload, send its parts, then import it (`studio.api.imports`)."""

from __future__ import annotations

import io
import uuid
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import UnsupportedMediaType, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from studio.api.endpoint import Endpoint, ListEndpoint
from studio.api.fields import Text
from studio.api.idempotency import idempotent
from studio.catalog.models import Upload
from studio.catalog.uploads import MOST_BYTES_A_PART, upload_append, upload_create, upload_discard
from studio.common.permissions import may_create, require, signed_in_user

PART_TYPE = "application/octet-stream"
NO_ROOM = {507: None}  # documented; the disk is full


class UploadRow(serializers.ModelSerializer[Upload]):
    """A file that arrives in parts."""

    id = serializers.UUIDField()
    size = serializers.IntegerField(help_text="Bytes, as announced.")
    offset = serializers.IntegerField(help_text="Bytes that are here: where the upload goes on.")
    kind = serializers.CharField(help_text="Told by its first bytes; empty until they are here.")
    complete = serializers.BooleanField(help_text="It can be imported.")
    part_bytes = serializers.SerializerMethodField(help_text="Most bytes of a part.")

    class Meta:
        model = Upload
        fields = ("id", "name", "size", "offset", "kind", "sha256", "complete", "part_bytes", "created_at")

    def get_part_bytes(self, row: Upload) -> int:
        return MOST_BYTES_A_PART


class NewUpload(serializers.Serializer[Any]):
    name = Text(max_length=255, help_text="The file's name, for people.")
    size = serializers.IntegerField(min_value=1, max_value=2**62, help_text="Bytes.")
    sha256 = Text(
        max_length=64, required=False, allow_blank=True,
        help_text="Of the file, in hexadecimal. Where it is given, the import compares it.",
    )  # fmt: skip


class Uploads(ListEndpoint):
    """One's own uploads whose import has not begun, newest first."""

    serializer_class = UploadRow

    def rows(self) -> QuerySet[Upload]:
        require(may_create(self.request.user), "upload files")
        return Upload.objects.filter(owner=signed_in_user(self.request), job=None).order_by("-created_at", "pk")

    @extend_schema(
        request=NewUpload,
        responses={201: UploadRow, **NO_ROOM},
        examples=[
            OpenApiExample(
                "A teacher of 226 MB", value={"name": "edm-cifar10.pkl", "size": 226_000_000}, request_only=True
            )
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Begin an upload; its address is `Location`. 413 for a file that is too large, 507 for a disk that is full."""
        require(may_create(request.user), "upload files")
        upload = upload_create(owner=signed_in_user(request), **self.validated(NewUpload))
        location = reverse("api:upload", args=(upload.pk,))
        return Response(UploadRow(upload).data, status=status.HTTP_201_CREATED, headers={"Location": location})


class UploadOne(Endpoint):
    """One of one's own uploads."""

    serializer_class = UploadRow
    json_body = False

    def get(self, request: Request, upload_id: uuid.UUID) -> Response:
        """How far it is: send the next part at `offset`."""
        return Response(UploadRow(self._own(upload_id)).data)

    @extend_schema(
        request={PART_TYPE: OpenApiTypes.BINARY},
        parameters=[
            OpenApiParameter(
                "Upload-Offset", {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}, OpenApiParameter.HEADER,
                required=True, description="Where this part begins, in bytes.",
            )
        ],
        responses={200: UploadRow, **NO_ROOM},
    )  # fmt: skip
    def patch(self, request: Request, upload_id: uuid.UUID) -> Response:
        """Send the next part. Another offset than the upload's is a 409, whose body names the right `offset`."""
        upload = self._own(upload_id)
        if (given := (request.content_type or "").partition(";")[0].strip().lower()) != PART_TYPE:
            raise UnsupportedMediaType(given, f"A part is sent as {PART_TYPE}.")
        offset, length = header_bytes(request, "Upload-Offset"), header_bytes(request, "Content-Length")
        raw = request._request
        part = io.BytesIO(raw.read(length)) if length <= MOST_BYTES_A_PART else io.BytesIO()
        owner = signed_in_user(request)
        return Response(UploadRow(upload_append(upload.pk, owner, offset=offset, part=part, length=length)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, upload_id: uuid.UUID) -> Response:
        """Forget it and its bytes. 409 once its import has begun."""
        upload_discard(self._own(upload_id))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _own(self, upload_id: uuid.UUID) -> Upload:
        """Somebody else's is not found."""
        require(may_create(self.request.user), "upload files")
        return get_object_or_404(Upload, pk=upload_id, owner=signed_in_user(self.request))


def header_bytes(request: Request, header: str) -> int:
    """A number of bytes in a header. Raises ValidationError."""
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ValidationError({header: "this header is needed: a number of bytes"})
    return int(text)
