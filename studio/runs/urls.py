from django.urls import path

import studio.common.addresses  # noqa: F401  # the converter "id"
from studio.runs import views

app_name = "runs"
urlpatterns = [
    path("", views.list_runs, name="list"),
    path("new/", views.new_run, name="new"),
    path("estimate/", views.estimate_run, name="estimate"),
    path("<id:pk>/", views.show_run, name="detail"),
    path("<id:pk>/actions/<str:action>/", views.act_on_run, name="action"),
    path("<id:pk>/samples/<id:sample>.png", views.show_sample, name="sample"),
    path("<id:pk>/checkpoints/<id:checkpoint>/", views.download_checkpoint, name="checkpoint"),
    path("<id:pk>/log/", views.download_log, name="log"),
]
