"""The addresses of researchers, below /studies/."""

from django.urls import path

import studio.common.addresses  # noqa: F401  # the converter "id"
from studio.study import result_views

app_name = "study"
urlpatterns = [
    path("<id:pk>/results/", result_views.show_results, name="results"),
    path("<id:pk>/export.csv", result_views.export_csv, name="export-csv"),
    path("<id:pk>/export.json", result_views.export_json, name="export-json"),
    path("<id:pk>/columns.csv", result_views.export_dictionary, name="export-dictionary"),
    path("<id:pk>/participants/<id:number>/", result_views.show_participant, name="participant"),
    path("<id:pk>/participants/<id:number>/exclude/", result_views.exclude, name="exclude"),
    path("<id:pk>/participants/<id:number>/restore/", result_views.restore, name="restore"),
    path("<id:pk>/votes/<id:vote>/correct/", result_views.correct, name="correct"),
]
