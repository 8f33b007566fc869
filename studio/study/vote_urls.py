"""The addresses of participants, below /vote/."""

from django.urls.resolvers import URLPattern

app_name = "vote"
urlpatterns: list[URLPattern] = []
