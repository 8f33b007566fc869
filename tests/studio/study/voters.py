"""Participants: browsers that follow a link, agree and answer. The images they receive lie on disk."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from django.test import Client
from PIL import Image as Picture

from studio.study.lifecycle import StudyState
from studio.study.models import Image, Link, Study
from studio.study.opening import enlargement, study_open
from studio.study.storage import image_path, open_path
from tests.studio.study.builders import study_with

# Arm 1's images are busier, so that without padding their files are longer.
NOISE = (1, 8)
SIDE = 16  # pixels


def opened_study(owner: Any, *, padded: bool = True, **fields: Any) -> Study:
    """A study opened with its files; not `padded`: those that participants receive are as long as they happen to be."""
    study = study_with(owner, state=StudyState.REVIEW, **fields)
    images = Image.objects.filter(prompt__study=study).select_related("arm")
    images.update(width=SIDE, height=SIDE)
    for image in images:
        path = image_path(image)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(image.pk, NOISE[image.arm.position]))
    study = study_open(study, owner)
    if not padded:
        enlarge = enlargement(list(images))
        for image in images:
            open_path(study.pk, image.pk).write_bytes(enlarge(image_path(image).read_bytes()))
    return study


def picture(seed: int, noise: int, side: int = SIDE) -> bytes:
    """A PNG of random pixels; the more noise, the longer."""
    pixels = np.random.default_rng(seed).integers(0, 1 + 16 * noise, (side, side, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Picture.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def link_of(study: Study) -> Link:
    return study.links.earliest("pk")


def address_of(link: Link) -> str:
    return f"/vote/{link.token}/"


class Voter:
    """One browser at one link."""

    def __init__(self, link: Link, client: Client | None = None) -> None:
        self.client = client or Client()
        self.address = address_of(link)

    def open(self) -> Any:
        """The page as it is now; what it names is remembered."""
        response = self.client.get(self.address)
        html = response.content.decode()
        self.trial = _first(r'name="trial" value="([^"]+)"', html)
        self.images = re.findall(r'<img src="([^"]+)"', html)
        return response

    def agree(self) -> Any:
        self.client.get(self.address)
        return self.client.post(self.address, {"consent": "yes"})

    def begin(self) -> Voter:
        """Agree and see the first pair."""
        self.agree()
        self.open()
        assert self.trial
        return self

    def answer(self, side: str = "left", trial: str = "") -> Any:
        return self.client.post(self.address, {"trial": trial or self.trial, "side": side})

    def answer_all(self, side: str = "left") -> None:
        while self.trial:
            self.answer(side)
            self.open()


def _first(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""
