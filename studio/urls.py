"""All addresses of the studio."""

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

from studio.accounts.views import ChangePassword, SignIn, open_link
from studio.operations.views import metrics

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="runs:list")),
    path("sign-in/", SignIn.as_view(), name="sign-in"),
    path("sign-out/", login_not_required(LogoutView.as_view()), name="sign-out"),
    path("password/", ChangePassword.as_view(), name="password"),
    path("link/<str:secret>/", open_link, name="link"),
    path("", include("studio.catalog.urls")),
    path("notifications/", include("studio.notifications.urls")),
    path("runs/", include("studio.runs.urls")),
    path("studies/", include("studio.study.urls")),
    path("vote/", include("studio.study.vote_urls")),
    path("people/", include("studio.accounts.urls")),
    path("metrics", metrics, name="metrics"),
    path("api/", include("studio.api.page_urls")),
    path("workers/", include("studio.pool.urls")),
    path("api/v1/", include("studio.api.urls")),
]
handler400 = "studio.api.problems.bad_request"
handler403 = "studio.api.problems.permission_denied"
handler404 = "studio.api.problems.not_found"
handler500 = "studio.api.problems.server_error"
