"""Everything that a participant's browser receives, but the pixels, and a classifier that looks for the arms in it.

Addresses, headers, cookies, lengths, the page, and how long each answer took. The classifier learns from some
participants and guesses, for others, on which side arm 1 is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import hstack
from scipy.stats import binomtest
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from studio.study.models import Study, Trial
from tests.studio.study.voters import Voter, link_of

PROMPTS = 20


@dataclass
class Received:
    """One trial as the browser has it, and what it must not know."""

    text: str
    numbers: list[float]
    arm_1_left: bool


def received(voter: Voter) -> Received:
    """See the pair, fetch both images, answer; everything is kept."""
    page, page_seconds = timed(voter.open)
    images = [timed(lambda address=address: voter.client.get(address)) for address in voter.images]  # type: ignore[misc]
    arm_1_left = Trial.objects.values_list("left__arm__position", flat=True).get(key=voter.trial) == 1
    answered, answer_seconds = timed(voter.answer)
    parts = [("page", page), *zip(("left", "right"), [image for image, _ in images], strict=True), ("sent", answered)]
    text = "\n".join(described(name, response) for name, response in parts)
    (left, left_seconds), (right, right_seconds) = images
    lengths = len(left.content), len(right.content)
    times = page_seconds, left_seconds, right_seconds, answer_seconds
    differences = lengths[0] - lengths[1], left_seconds - right_seconds, len(left.headers) - len(right.headers)
    return Received(text, [float(value) for value in (*lengths, *times, *differences)], arm_1_left)


def timed(request: Any) -> tuple[Any, float]:
    began = time.perf_counter()
    response = request()
    return response, time.perf_counter() - began


def described(name: str, response: Any) -> str:
    """Each word says where it stood, so that left and right are told apart."""
    head = [f"{response.status_code}", *(f"{key}={value}" for key, value in response.headers.items())]
    cookies = [morsel.OutputString() for morsel in response.cookies.values()]
    body = response.content.decode().split() if name in ("page", "sent") else [f"bytes={len(response.content)}"]
    return "\n".join(f"{name}:{place}:{word}" for place, word in enumerate((*head, *cookies, *body)))


def collect(study: Study, people: int) -> list[list[Received]]:
    """All trials of each participant."""
    link = link_of(study)
    voters = [Voter(link).begin() for _ in range(people)]
    return [[received(voter) for _ in range(PROMPTS)] for voter in voters]


def chance_of(trials: list[list[Received]]) -> float:
    """How likely it is to guess as well as the classifier does by throwing a coin: a one-sided p, for held-out trials.

    Whole pairs of participants are learnt from, and others are guessed: within a pair every prompt has each arm on the
    left once, so the words of a prompt say nothing about its side.
    """
    split = len(trials) // 2 // 2 * 2
    learnt, guessed = ([trial for somebody in part for trial in somebody] for part in (trials[:split], trials[split:]))
    words = HashingVectorizer(n_features=2**16, token_pattern=r"[^\n]+", lowercase=False)
    numbers = StandardScaler().fit([trial.numbers for trial in learnt])

    def features(part: list[Received]) -> Any:
        scaled = numbers.transform([trial.numbers for trial in part])
        return hstack([words.transform([trial.text for trial in part]), scaled]).tocsr()

    classifier = LogisticRegression(max_iter=500).fit(features(learnt), [trial.arm_1_left for trial in learnt])
    said = classifier.predict(features(guessed))
    truth = np.array([trial.arm_1_left for trial in guessed])
    return float(binomtest(int((said == truth).sum()), len(truth), 0.5, alternative="greater").pvalue)
