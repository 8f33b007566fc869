from django.urls import path

import studio.common.addresses  # noqa: F401  # the converter "id"
from studio.runs import compare_views, group_views, label_views, teacher_views, views

app_name = "runs"
urlpatterns = [
    path("", views.list_runs, name="list"),
    path("new/", views.new_run, name="new"),
    path("new/teacher/", teacher_views.new_teacher, name="new-teacher"),
    path("estimate/teacher/", teacher_views.estimate_teacher, name="estimate-teacher"),
    path("estimate/", views.estimate_run, name="estimate"),
    path("compare/", compare_views.compare_runs, name="compare"),
    path("groups/", group_views.list_groups, name="groups"),
    path("groups/new/", group_views.new_group, name="new-group"),
    path("groups/<id:pk>/", group_views.show_group, name="group"),
    path("groups/<id:pk>/cancel/", group_views.cancel_group, name="cancel-group"),
    path("<id:pk>/", views.show_run, name="detail"),
    path("<id:pk>/actions/<str:action>/", views.act_on_run, name="action"),
    path("<id:pk>/samples/<id:sample>.png", views.show_sample, name="sample"),
    path("<id:pk>/checkpoints/<id:checkpoint>/", views.download_checkpoint, name="checkpoint"),
    path("<id:pk>/log/", views.download_log, name="log"),
    path("<id:pk>/log/search/", label_views.search_run_log, name="log-search"),
    path("<id:pk>/labels/", label_views.label_run, name="label"),
    path("<id:pk>/delete/", label_views.delete_run, name="delete"),
    path("<id:pk>/archive/", label_views.archive_run, name="archive"),
    path("<id:pk>/metrics.csv", label_views.download_csv, name="csv"),
    path("<id:pk>/metrics.tfevents", label_views.download_tensorboard, name="tensorboard"),
]
