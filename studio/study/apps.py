from django.apps import AppConfig


class StudyConfig(AppConfig):
    name = "studio.study"

    def ready(self) -> None:
        from studio.jobs.kinds import register
        from studio.jobs.signals import job_ended
        from studio.study import demo
        from studio.study.generation import STUDY_IMAGES, on_job_ended

        register(STUDY_IMAGES)
        job_ended.connect(on_job_ended)
        job_ended.connect(demo.on_job_ended)
