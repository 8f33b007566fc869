from django.urls import path

from studio.notifications import views

urlpatterns = [
    path("", views.notifications, name="notifications"),
    path("test/", views.test_notification, name="notifications-test"),
    path("secret/", views.renew_secret, name="notifications-secret"),
]
