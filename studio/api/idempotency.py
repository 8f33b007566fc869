"""`Idempotency-Key` on creations: the same request, sent again, gets the first answer and creates nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.db import transaction
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from studio.api.models import IdempotencyKey
from studio.api.problems import Unprocessable
from studio.common.permissions import signed_in_user

HEADER = "Idempotency-Key"
LONGEST = 200
KEPT = timedelta(days=1)

Handler = Callable[..., Response]


def idempotent(handler: Handler) -> Handler:
    """For the `post` of an endpoint that creates. One transaction holds key and creation: both stay, or neither."""

    @wraps(handler)
    def wrapper(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        if (key := request.headers.get(HEADER)) is None:
            return handler(view, request, *args, **kwargs)
        if not 1 <= len(key) <= LONGEST or not key.isprintable() or not key.isascii():
            raise ValidationError({HEADER: f"between 1 and {LONGEST} visible ASCII characters"})
        with transaction.atomic():
            return _once(view, request, key, lambda: handler(view, request, *args, **kwargs))

    wrapper.takes_idempotency_key = True  # type: ignore[attr-defined]  # for the OpenAPI document
    return wrapper


def _once(view: Any, request: Request, key: str, create: Callable[[], Response]) -> Response:
    now, user = timezone.now(), signed_in_user(request)
    IdempotencyKey.objects.filter(user=user, expires_at__lt=now).delete()
    digest = _digest(request)
    # Where another request holds the key right now, the database makes this one wait for its end.
    row, is_new = IdempotencyKey.objects.get_or_create(
        user=user, key=key, defaults={"digest": digest, "expires_at": now + KEPT}
    )
    if not is_new:
        if row.digest != digest:
            raise Unprocessable({HEADER: "this key was used for another request; use a new one"})
        headers = {"Idempotent-Replayed": "true"} | ({"Location": row.location} if row.location else {})
        return Response(row.body, status=row.status, headers=headers)
    response = create()
    row.status, row.body = response.status_code, json.loads(JSONRenderer().render(response.data))
    row.location = response.headers.get("Location", "")
    row.save()
    return response


def _digest(request: Request) -> str:
    what = f"{request.method} {request.path}\n".encode() + request._request.body
    return hashlib.sha256(what).hexdigest()
