"""Nothing that a participant's browser receives, but the pixels, tells the arms apart.

The classifier must do no better than chance; and it must find the side where the files are not padded, or it would
prove nothing. The proofs do the same over 2,000 trials.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from studio.accounts.models import Role, User
from studio.study import voting
from studio.study.lifecycle import StudyState
from studio.study.models import Image, Link, Participant, Study, Trial
from tests.studio.study.guessing import PROMPTS, chance_of, collect
from tests.studio.study.voters import Voter, link_of, opened_study


def test_a_classifier_cannot_tell_the_sides(user: Any) -> None:
    assert chance_of(collect(opened_study(user, prompts=PROMPTS), 20)) > 1e-3


def test_the_same_classifier_tells_the_sides_where_files_are_not_padded(user: Any) -> None:
    assert chance_of(collect(opened_study(user, prompts=PROMPTS, padded=False), 8)) < 1e-6


# What is not sent at all.


@pytest.fixture
def study(user: Any) -> Study:
    cache.clear()
    return opened_study(user, prompts=3, labels=("EDM teacher", "Distilled student"), checks=1)


@pytest.fixture
def voter(study: Study) -> Voter:
    return Voter(link_of(study)).begin()


def test_both_images_come_with_the_same_headers_and_length(study: Study, voter: Voter) -> None:
    left, right = (voter.client.get(address) for address in voter.images)
    assert left.content != right.content
    assert int(left.headers["Content-Length"]) == len(left.content) == len(right.content) == study.padded_bytes
    heads = [dict(response.headers) | {"X-Request-ID": ""} for response in (left, right)]
    assert heads[0] == heads[1]
    assert heads[0]["Content-Type"] == "image/png"
    assert not heads[0].keys() & {"ETag", "Last-Modified", "Content-Disposition", "Content-Encoding", "Set-Cookie"}


def test_compression_is_not_applied_to_images(study: Study, voter: Voter) -> None:
    response = voter.client.get(voter.images[0], headers={"Accept-Encoding": "gzip, br", "Range": "bytes=0-9"})
    assert (response.status_code, len(response.content)) == (200, study.padded_bytes)


def test_pages_name_no_arm_no_seed_no_file_and_no_number(study: Study) -> None:
    voter = Voter(link_of(study))
    pages = [voter.open(), voter.agree()]
    voter.open()
    while voter.trial:
        pages += [voter.open(), *(voter.client.get(address) for address in voter.images), voter.answer()]
        voter.open()
    pages += [voter.open(), voter.answer(trial="no-such-trial")]
    secrets = ["EDM", "teacher", "student", "arm", "seed", "sampler", "Heun", *_files(study)]
    for response in pages:
        said = f"{response.headers}"
        said += response.content.decode() if "html" in response.headers.get("Content-Type", "") else ""
        assert not [word for word in secrets if word in said]


def _files(study: Study) -> list[str]:
    return [path for image in Image.objects.filter(prompt__study=study) for path in (image.path, image.sha256)]


def images_of(voter: Voter) -> list[str]:
    return list(voter.images)


def status(client: Client, address: str) -> int:
    return int(client.get(address).status_code)


def test_images_are_the_live_pairs_alone(study: Study, voter: Voter) -> None:
    first = images_of(voter)
    assert [status(voter.client, address) for address in first] == [200, 200]
    later = Participant.objects.get().trials.get(position=1)
    assert status(voter.client, f"{voter.address}images/{later.left_key}.png") == 404
    voter.answer()
    voter.open()
    assert [status(voter.client, address) for address in first] == [404, 404]  # answered
    assert [status(voter.client, address) for address in voter.images] == [200, 200]


def test_nobody_else_gets_an_image(study: Study, voter: Voter) -> None:
    other = Voter(link_of(study)).begin()
    staff = Client()
    staff.force_login(User.objects.create_user("adam", role=Role.ADMINISTRATOR))
    elsewhere = Link.objects.create(study=study)
    for address in voter.images:
        assert [status(client, address) for client in (Client(), other.client, staff)] == [404] * 3
        moved = address.replace(link_of(study).token, elsewhere.token)
        assert status(voter.client, moved) == 404
    trial = Trial.objects.get(key=voter.trial)
    for key in (trial.key, trial.left_id, f"../{trial.left_id}"):  # neither its number nor the trial's key
        assert status(voter.client, f"{voter.address}images/{key}.png") == 404


def test_no_image_is_served_once_the_study_has_closed(study: Study, voter: Voter) -> None:
    Study.objects.filter(pk=study.pk).update(state=StudyState.CLOSED)
    assert [status(voter.client, address) for address in voter.images] == [404, 404]


def test_no_image_is_served_that_nobody_approved(study: Study, voter: Voter) -> None:
    Image.objects.update(review=Image.Review.REJECTED)
    assert [status(voter.client, address) for address in voter.images] == [404, 404]


def test_addresses_are_each_trials_own(study: Study, voter: Voter) -> None:
    other = Voter(link_of(study)).begin()
    assert not set(voter.images) & set(other.images)
    keys = list(Trial.objects.values_list("key", "left_key", "right_key"))
    assert len({key for row in keys for key in row}) == 3 * len(keys)


def test_images_of_a_trial_are_counted_towards_the_limit(
    study: Study, voter: Voter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voting, "MOST_FOR_PARTICIPANT", 3)
    assert 429 in [status(voter.client, voter.images[0]) for _ in range(9)]
