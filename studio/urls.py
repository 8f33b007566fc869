"""All addresses of the studio."""

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

from studio.accounts.views import ChangePassword, SignIn
from studio.operations.views import metrics

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="runs:list")),
    path("sign-in/", SignIn.as_view(), name="sign-in"),
    path("sign-out/", login_not_required(LogoutView.as_view()), name="sign-out"),
    path("password/", ChangePassword.as_view(), name="password"),
    path("", include("studio.catalog.urls")),
    path("notifications/", include("studio.notifications.urls")),
    path("runs/", include("studio.runs.urls")),
    path("metrics", metrics, name="metrics"),
    path("workers/", include("studio.pool.urls")),
    path("api/v1/", include("studio.api.urls")),
]
