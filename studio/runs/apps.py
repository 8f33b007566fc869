from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "studio.runs"

    def ready(self) -> None:
        from studio.jobs.kinds import register
        from studio.runs.distillation import DISTILLATION, TEACHER_TRAINING

        register(DISTILLATION)
        register(TEACHER_TRAINING)
