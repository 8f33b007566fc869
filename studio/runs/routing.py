"""WebSocket addresses."""

from django.urls import path

from studio.runs.consumers import RunConsumer, RunsConsumer

websocket_urlpatterns = [
    path("ws/runs/", RunsConsumer.as_asgi()),  # type: ignore[arg-type]
    path("ws/runs/<int:pk>/", RunConsumer.as_asgi()),  # type: ignore[arg-type]
]
