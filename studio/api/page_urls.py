from django.urls import path

import studio.common.addresses  # noqa: F401  # the converter "id"
from studio.api import views

app_name = "api-pages"
urlpatterns = [
    path("", views.tokens, name="tokens"),
    path("tokens/<id:pk>/revoke/", views.revoke, name="revoke"),
    path("reference/", views.reference, name="reference"),
]
