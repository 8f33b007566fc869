from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def own_folders(settings: Any, tmp_path: Path) -> None:
    """The files of each test in a folder of its own."""
    settings.DATA = tmp_path / "data"
    settings.DATA.mkdir()
    settings.RUNS_FOLDER = settings.DATA / "runs"
