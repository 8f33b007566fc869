import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "config",
        "presets",
        "events",
        "teacher_card",
        "resolve",
        "control",
        "run_folder",
        "commands.common",
        "commands.draw",
        "pretrain_config",
    ],
)
def test_the_specifications_import_where_torch_cannot_be(module: str) -> None:
    program = f"import sys; sys.modules['torch'] = None; sys.modules['torchvision'] = None; import simcore.{module}"
    subprocess.run([sys.executable, "-c", program], check=True)
