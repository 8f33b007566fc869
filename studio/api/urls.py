from django.urls import path

import studio.common.addresses  # noqa: F401  # the converter "id"
from studio.api.runs import RunMetrics

app_name = "api"
urlpatterns = [path("runs/<id:pk>/metrics", RunMetrics.as_view(), name="run-metrics")]
