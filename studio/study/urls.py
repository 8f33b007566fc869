"""The addresses of researchers, below /studies/."""

from django.urls.resolvers import URLPattern

import studio.common.addresses  # noqa: F401  # the converter "id"

app_name = "study"
urlpatterns: list[URLPattern] = []
