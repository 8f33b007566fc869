"""The addresses of participants, below /vote/."""

from django.urls import path

from studio.study import voting

app_name = "vote"
urlpatterns = [
    path("<str:token>/", voting.vote, name="page"),
    path("<str:token>/images/<uuid:key>.png", voting.image, name="image"),
]
