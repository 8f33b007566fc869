from django.urls import path

from studio.api.runs import RunMetrics

app_name = "api"
urlpatterns = [path("runs/<int:pk>/metrics", RunMetrics.as_view(), name="run-metrics")]
