"""`draw`: single images from requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from simcore.commands.common import CommandError
from simcore.commands.draw import _events, read_requests
from simcore.control import NoControl
from simcore.events import Event, Finished, Metrics, Stopped
from tests.simcore.test_cli import simcore

DIGITS = "bundled:digits"


def request(image: str, **changes: Any) -> dict[str, Any]:
    return {"name": image, "source": DIGITS, "label": 3, "seed": 7, "steps": 2} | changes


def drawn(folder: Path, *requests: dict[str, Any]) -> list[Event]:
    file = folder.with_suffix(".json")
    file.write_text(json.dumps(requests))
    return list(_events(read_requests(file), folder, NoControl()))


def test_the_same_request_gives_the_same_image_whatever_else_is_drawn(tmp_path: Path) -> None:
    drawn(tmp_path / "alone", request("a"))
    *_, last = drawn(tmp_path / "among", request("b", seed=8), request("a"), request("c", label=4))
    alone, among = (tmp_path / folder / "a.png" for folder in ("alone", "among"))
    assert alone.read_bytes() == among.read_bytes()
    assert len({(tmp_path / "among" / f"{name}.png").read_bytes() for name in "abc"}) == 3
    with Image.open(alone) as image:
        assert (image.format, image.mode, image.size, image.info) == ("PNG", "RGB", (8, 8), {})
    assert isinstance(last, Finished)
    assert {(image["nfe"], image["sampler"]) for image in last.summary["images"]} == {(3, "Heun, 2 steps")}


def test_progress_is_told_image_by_image_and_a_request_to_stop_is_heard(tmp_path: Path) -> None:
    events = drawn(tmp_path / "two", request("a"), request("b"))
    assert [event.step for event in events if isinstance(event, Metrics)] == [1, 2]

    class Cancel:
        def poll(self) -> Any:
            return "cancel"

    *_, last = _events(read_requests(tmp_path / "two.json"), tmp_path / "none", Cancel())
    assert isinstance(last, Stopped)
    assert not list((tmp_path / "none").iterdir())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"label": 10}, "takes a class from 0 to 9"),
        ({"label": None}, "takes a class from 0 to 9"),
        ({"source": "bundled:two-moons", "label": None}, "points in the plane"),
        ({"name": "../outside"}, "0.name"),
        ({"steps": 0}, "0.steps"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_reason(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        drawn(tmp_path / "out", request("a", **changes))


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="twice"):
        drawn(tmp_path / "out", request("a"), request("a", seed=9))


def test_the_command_says_in_one_line_what_is_wrong_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "requests.json").write_text("{")
    answer = simcore("draw", "--requests", tmp_path / "requests.json", "--out", tmp_path / "out")
    assert answer.returncode == 2
    assert answer.stderr.startswith("error: ")
    assert "Traceback" not in answer.stderr
