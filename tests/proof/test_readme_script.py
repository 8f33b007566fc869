"""The README's section for scripts, word for word, on a fresh studio."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from studio.environment import PROJECT
from tests.stack import Stack

BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A studio in which nothing has happened."""
    with Stack(tmp_path_factory.mktemp("fresh") / "data", lease_seconds=15) as stack:
        stack.port = stack.start_web()
        stack.start_worker("runs")
        yield stack


def section() -> str:
    return (PROJECT / "README.md").read_text().split("## From a script\n")[1].split("\n## ")[0]


def new_token(stack: Stack) -> str:
    """By the command that the section names."""
    (command,) = re.findall(r"\$\(python (manage.py create_token .*)\)", section())
    made = subprocess.run(
        [sys.executable, *command.split()],
        cwd=PROJECT, env=os.environ | stack.variables, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return made.stdout.strip()


def test_the_script_of_the_readme_distils_a_student_and_reads_its_distance(fresh: Stack, tmp_path: Path) -> None:
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT),
        "HOME": str(tmp_path),
        "SIMSTUDIO_URL": f"http://127.0.0.1:{fresh.port}",
        "SIMSTUDIO_TOKEN": new_token(fresh),
    }
    commands = {"bash": ["bash", "-euo", "pipefail"], "python": [sys.executable]}
    said = []
    for language, text in BLOCK.findall(section()):
        result = subprocess.run(
            commands[language], input=text, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"{text}\n{result.stdout}\n{result.stderr}"
        said.append(result.stdout)
    by_curl, by_simstudio, by_python = said
    assert json.loads(by_curl.splitlines()[-1])["id"] == 1
    assert fresh.job(1)["state"] == "cancelled"
    assert json.loads((tmp_path / "run.json").read_text())["settings"]["objective.distance"] == "l1"
    assert re.search(r"^Run 2 \(From a script\) has succeeded: frechet [\d.]+ \(teacher [\d.]+\)$", by_simstudio, re.M)
    ((measured,),) = fresh.rows(
        "SELECT \"values\" FROM runs_evaluation WHERE run_id = 2 AND source = 'student' ORDER BY step DESC LIMIT 1"
    )
    distance = json.loads(measured)["frechet"]
    assert by_python == f"Fréchet distance {distance:.2f} from 500 images\n"
    assert Image.open(tmp_path / "student.png").size[0] > 80
