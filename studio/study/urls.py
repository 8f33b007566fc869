"""The addresses of researchers, below /studies/."""

from django.urls import path

import studio.common.addresses  # noqa: F401  # the converter "id"
from studio.study import result_views, sharing

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
    path("<id:pk>/share/", sharing.share, name="share"),
    path("<id:pk>/share/open/", sharing.save_open_link, name="share-open"),
    path("<id:pk>/share/personal/", sharing.make_personal_links, name="share-personal"),
    path("<id:pk>/share/personal.csv", sharing.export_links, name="share-csv"),
    path("<id:pk>/share/<id:link>/withdraw/", sharing.revoke_link, name="share-withdraw"),
    path("<id:pk>/preview/", sharing.preview, name="preview"),
    path("<id:pk>/images/<id:image>.png", sharing.show_image, name="image"),
]
