from __future__ import annotations

import subprocess
import sys

from django.conf import settings

from studio.environment import PROJECT

HEAVY = ("torch", "torchvision", "torch_fidelity", "sklearn", "mlxtend", "numpy")
REFUSAL = f"""
import sys

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ImportError(f"{{name}} is not for the web")

sys.meta_path.insert(0, Refusal())
import studio.asgi, studio.celery, studio.urls
from django.urls import get_resolver
assert get_resolver().url_patterns
"""


def test_the_studio_sets_up_where_torch_cannot_be_imported() -> None:
    _run("")


def test_the_workers_start_where_torch_cannot_be_imported() -> None:
    _run("import workers.tasks, workers.attempt")


def test_the_check_notices_an_import() -> None:
    result = _try("import torch")
    assert result.returncode != 0
    assert "torch is not for the web" in result.stderr


def _run(code: str) -> None:
    result = _try(code)
    assert result.returncode == 0, result.stderr


def _try(code: str) -> subprocess.CompletedProcess[str]:
    environment = {"SIMSTUDIO_DATA": str(settings.DATA), "DJANGO_SETTINGS_MODULE": "studio.settings"}
    command = [sys.executable, "-c", REFUSAL + code]
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
