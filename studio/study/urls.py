"""The addresses of researchers, below /studies/."""

from django.urls import path

import studio.common.addresses  # noqa: F401  # the converter "id"
from studio.study import build_views, review_views, views

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
    path("<id:pk>/images/<id:image>/review/", review_views.judge_image, name="image-review"),
    path("<id:pk>/images/<id:image>/replace/", review_views.replace_image, name="image-replace"),
    path("<id:pk>/audit/", views.show_audit, name="audit"),
    path("<id:pk>/clone/", views.clone_study, name="clone"),
    path("<id:pk>/delete/", views.delete_study, name="delete"),
    path("<id:pk>/actions/<str:action>/", views.act_on_study, name="action"),
]
