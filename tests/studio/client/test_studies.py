"""Studies from the Python client and from the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from studio.accounts.models import User
from studio.client import ApiError, Client
from studio.study.models import Study
from tests.studio.client.conftest import Terminal
from tests.studio.study.builders import participate, study_with


@pytest.fixture
def study(token: str) -> Study:
    """Open, with twelve votes, nine of them for the teacher."""
    study = study_with(User.objects.get(username="ada"), prompts=6)
    participate(study, "000001")
    participate(study, "000011")
    return study


def test_a_study_is_made_listed_and_read(client: Client, study: Study) -> None:
    made = client.study_create("Ours", checks=2)
    assert (made["state"], made["checks"], client.study(made["id"])) == ("draft", 2, made)
    assert [row["id"] for row in client.studies(state="open")] == [study.pk]
    assert client.study_results(study.pk)["kept"]["tally"]["wins"] == 9
    with pytest.raises(ApiError) as refused:
        client.study_create("Ours", checks=9)
    assert list(refused.value.errors) == ["checks"]


def test_votes_are_fetched_into_a_file_which_overwrites_none(client: Client, study: Study, tmp_path: Path) -> None:
    target = client.study_export(study.pk, tmp_path / "new" / "votes.json", kind="json")
    assert len(json.loads(target.read_text())["votes"]) == 12
    with pytest.raises(FileExistsError, match="there already"):
        client.study_export(study.pk, target)
    with pytest.raises(ApiError):
        client.study_export(999, tmp_path / "none.csv")
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["votes.json"]


def test_the_command_line_lists_tells_and_exports(simstudio: Terminal, study: Study) -> None:
    assert simstudio.json("studies", "list", "--state", "open")[0]["id"] == study.pk
    line = simstudio("studies", "list").stdout.splitlines()[1].split("\t")
    assert line[:6] == [str(study.pk), "Digits", "open", "teacher against student", "2/30", "ada"]
    told = simstudio("studies", "results", str(study.pk)).stdout
    assert "12: 9 to 3, 0 without preference" in told
    assert "75.0 %" in told
    assert "would inflate significance" in told
    assert "Participants compared 6 pairs" in told
    exported = simstudio.json("studies", "export", str(study.pk))
    file = simstudio.home / exported["path"]
    assert len(list(csv.DictReader(file.open(newline="")))) == 12
    again = simstudio("studies", "export", str(study.pk))
    assert (again.returncode, "there already" in again.stderr) == (1, True)
    unknown = simstudio("studies", "results", "999")
    assert (unknown.returncode, unknown.stdout) == (1, "")
