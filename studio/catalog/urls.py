from django.urls import path

import studio.common.addresses  # noqa: F401  # the converter "id"
from studio.catalog import import_views, views
from studio.catalog.models import Dataset, Teacher

app_name = "catalog"
urlpatterns = [
    path("teachers/", views.list_teachers, name="teachers"),
    path("teachers/<id:pk>/", views.show_teacher, name="teacher"),
    path("teachers/<id:pk>/delete/", views.delete_teacher, name="teacher-delete"),
    path("teachers/<id:pk>/draw/", views.draw_teacher, name="teacher-draw"),
    path("teachers/<id:pk>/samples.png", views.show_samples, {"model": Teacher}, name="teacher-samples"),
    path("datasets/", views.list_datasets, name="datasets"),
    path("datasets/<id:pk>/", views.show_dataset, name="dataset"),
    path("datasets/<id:pk>/delete/", views.delete_dataset, name="dataset-delete"),
    path("datasets/<id:pk>/samples.png", views.show_samples, {"model": Dataset}, name="dataset-samples"),
    path("imports/", import_views.import_page, name="imports"),
    path("imports/<id:pk>/", import_views.show_import, name="import"),
    path("imports/<id:pk>/actions/<str:action>/", import_views.act_on_import, name="import-action"),
    path("imports/uploads/", import_views.create_upload, name="uploads"),
    path("imports/uploads/<uuid:upload_id>/", import_views.one_upload, name="upload"),
    path("imports/uploads/<uuid:upload_id>/discard/", import_views.discard_upload, name="upload-discard"),
]
