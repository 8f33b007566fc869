from importlib import import_module

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "studio.accounts"

    def ready(self) -> None:
        import_module("studio.accounts.audit")  # listens to signing in and out
