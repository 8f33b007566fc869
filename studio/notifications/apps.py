from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "studio.notifications"

    def ready(self) -> None:
        from studio.jobs.signals import job_ended
        from studio.notifications.services import on_job_ended

        job_ended.connect(on_job_ended)
