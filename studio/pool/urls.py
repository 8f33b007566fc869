from django.urls import path

import studio.common.addresses  # noqa: F401  # the converter "id"
from studio.pool import views

app_name = "pool"
urlpatterns = [
    path("", views.list_workers, name="list"),
    path("<id:pk>/drain/", views.drain, name="drain"),
    path("<id:pk>/undrain/", views.undrain, name="undrain"),
    path("queue/<id:pk>/priority/", views.set_priority, name="priority"),
    path("queue/<id:pk>/<str:action>/", views.move_in_queue, name="move"),
]
