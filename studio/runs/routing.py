"""WebSocket addresses."""

from django.urls import path

import studio.common.addresses  # noqa: F401  # the converter "id"
from studio.runs.consumers import RunConsumer, RunsConsumer

websocket_urlpatterns = [
    path("ws/runs/", RunsConsumer.as_asgi()),  # type: ignore[arg-type]
    path("ws/runs/<id:pk>/", RunConsumer.as_asgi()),  # type: ignore[arg-type]
]
