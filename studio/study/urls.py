"""The addresses of researchers, below /studies/."""

from django.urls import path

import studio.common.addresses  # noqa: F401  # the converter "id"
from studio.study import build_views, result_views, review_views, sharing, views

app_name = "study"
urlpatterns = [
    path("", views.list_studies, name="list"),
    path("new/", views.new_study, name="new"),
    path("<id:pk>/", views.show_study, name="detail"),
    path("<id:pk>/settings/", views.change_settings, name="settings"),
    path("<id:pk>/prompts/", build_views.edit_prompts, name="prompts"),
    path("<id:pk>/prompts/draw/", build_views.draw_prompts, name="prompts-draw"),
    path("<id:pk>/arms/", build_views.edit_arms, name="arms"),
    path("<id:pk>/arms/upload/", build_views.upload_images, name="arms-upload"),
    path("<id:pk>/review/", review_views.show_review, name="review"),
    path("<id:pk>/images/<id:image>.png", review_views.show_image, name="image"),
    path("<id:pk>/images/<id:image>/shown.png", review_views.show_as_participant, name="image-shown"),
    path("<id:pk>/images/<id:image>/review/", review_views.judge_image, name="image-review"),
    path("<id:pk>/images/<id:image>/replace/", review_views.replace_image, name="image-replace"),
    path("<id:pk>/audit/", views.show_audit, name="audit"),
    path("<id:pk>/clone/", views.clone_study, name="clone"),
    path("<id:pk>/delete/", views.delete_study, name="delete"),
    path("<id:pk>/actions/<str:action>/", views.act_on_study, name="action"),
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
]
