from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "studio.catalog"

    def ready(self) -> None:
        from studio.catalog.imports import IMPORT_DATASET, IMPORT_TEACHER
        from studio.catalog.sampling import SAMPLE_TEACHER
        from studio.jobs.kinds import register

        for kind in (IMPORT_TEACHER, IMPORT_DATASET, SAMPLE_TEACHER):
            register(kind)
