from django.urls import path

from studio.runs import views

app_name = "runs"
urlpatterns = [
    path("", views.list_runs, name="list"),
    path("new/", views.new_run, name="new"),
    path("estimate/", views.estimate_run, name="estimate"),
    path("<int:pk>/", views.show_run, name="detail"),
    path("<int:pk>/actions/<str:action>/", views.act_on_run, name="action"),
    path("<int:pk>/samples/<int:sample>.png", views.show_sample, name="sample"),
    path("<int:pk>/checkpoints/<int:checkpoint>/", views.download_checkpoint, name="checkpoint"),
    path("<int:pk>/log/", views.download_log, name="log"),
]
