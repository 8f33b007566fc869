from django.urls import path

import studio.common.addresses  # noqa: F401  # the converter "id"
from studio.accounts import people_views as views

app_name = "people"
urlpatterns = [
    path("", views.list_people, name="list"),
    path("invite/", views.invite, name="invite"),
    path("invitations/<id:pk>/withdraw/", views.withdraw, name="withdraw"),
    path("<id:pk>/role/", views.change_role, name="role"),
    path("<id:pk>/password-link/", views.password_link, name="password-link"),
    path("<id:pk>/deactivate/", views.change_activity, {"verb": "deactivate"}, name="deactivate"),
    path("<id:pk>/reactivate/", views.change_activity, {"verb": "reactivate"}, name="reactivate"),
    path("audit/", views.list_audit, name="audit"),
]
