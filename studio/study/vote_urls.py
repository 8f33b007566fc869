"""The addresses of participants, below /vote/."""

from django.urls import path, register_converter

from studio.study import voting


class LinkToken:
    """What `models.new_link_token` makes; anything else is not found before the database is asked."""

    regex = "[A-Za-z0-9_-]{1,43}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(LinkToken, "link")
app_name = "vote"
urlpatterns = [
    path("<link:token>/", voting.vote, name="page"),
    path("<link:token>/images/<uuid:key>.png", voting.image, name="image"),
]
