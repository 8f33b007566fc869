"""Links of a study: made, changed, withdrawn, exported; and the preview."""

from __future__ import annotations

import csv
import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from studio.study.lifecycle import StudyRefused, StudyState
from studio.study.links import open_link, open_link_set, personal_links_create
from studio.study.models import Image, Link, Participant, Study, Trial
from tests.studio.study.builders import study_with
from tests.studio.study.voters import Voter, address_of, link_of, opened_study


@pytest.fixture(autouse=True)
def nobody_counted_yet() -> None:
    cache.clear()


@pytest.fixture
def study(user: Any) -> Study:
    return opened_study(user, prompts=2)


def page_of(client: Client, study: Study) -> str:
    return str(client.get(f"/studies/{study.pk}/share/").content.decode())


def post(client: Client, study: Study, what: str, **fields: Any) -> Any:
    return client.post(f"/studies/{study.pk}/share/{what}/", fields)


def said(study: Study) -> list[str]:
    """What was noted since it was opened."""
    return [what for what in study.events.values_list("what", flat=True) if not what.startswith("moved it")]


def test_the_open_link_is_shown_with_a_code_and_can_be_limited(ada: Client, study: Study) -> None:
    page = page_of(ada, study)
    assert f"http://testserver{address_of(link_of(study))}" in page
    assert 'src="data:image/svg+xml' in page
    until = (timezone.now() + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    answer = post(ada, study, "open", **{"open-cap": "40", "open-expires_at": until})
    assert answer.headers["Location"] == f"/studies/{study.pk}/share/"
    link = link_of(study)
    assert (link.cap, study.links.count()) == (40, 1)
    assert link.expires_at is not None
    assert link.expires_at.strftime("%Y-%m-%dT%H:%M") == until
    assert "of at most 40" in page_of(ada, study)
    assert said(study)[0] == "changed the open link"


def test_a_withdrawn_open_link_is_replaced_by_a_new_one(ada: Client, study: Study) -> None:
    old = link_of(study)
    post(ada, study, f"{old.pk}/withdraw")
    assert Voter(old).open().status_code == 410
    assert open_link(study) is None
    assert "There is none yet" in page_of(ada, study)
    post(ada, study, "open")
    new = open_link(study)
    assert new is not None
    assert new.token != old.token
    assert Voter(new).open().status_code == 200
    assert said(study)[:2] == ["made the open link", "withdrew the open link"]


@pytest.mark.parametrize(
    ("what", "fields", "words"),
    [
        ("open", {"open-cap": "0"}, "greater than or equal to 1"),
        ("open", {"open-cap": "1"}, "2 have begun by this link already"),
        ("open", {"open-expires_at": "2001-01-01T10:00"}, "has passed already"),
        ("open", {"open-expires_at": "soon"}, "valid date"),
        ("personal", {}, "Say how many"),
        ("personal", {"personal-count": "501"}, "less than or equal to 500"),
        ("personal", {"personal-count": "3", "personal-notes": "Ada\nGrace"}, "There are 2 notes"),
        ("personal", {"personal-notes": "x" * 201}, "at most 200"),
        ("personal", {"personal-notes": "x\n" * 501}, "Between 1 and 500"),
        ("personal", {"personal-count": "1", "personal-expires_at": "2001-01-01T10:00"}, "has passed already"),
    ],
)
def test_what_cannot_be_is_said_beside_the_field_and_changes_nothing(
    ada: Client, study: Study, what: str, fields: dict[str, str], words: str
) -> None:
    for _ in range(2):
        Voter(link_of(study)).begin()
    answer = post(ada, study, what, **fields)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert list(study.links.values_list("cap", "expires_at")) == [(None, None)]
    assert said(study) == []


def test_personal_links_are_made_with_their_notes_and_tell_what_became_of_them(ada: Client, study: Study) -> None:
    post(ada, study, "personal", **{"personal-notes": "Ada\n\n=Grace \nMary"})
    post(ada, study, "personal", **{"personal-count": "2"})
    links = {link.note: link for link in study.links.filter(personal=True)}
    assert study.links.filter(personal=True, cap=1).count() == 5
    assert said(study) == ["made 2 personal links", "made 3 personal links"]
    Voter(links["Ada"]).begin().answer_all()
    Voter(links["=Grace"]).begin()
    post(ada, study, f"{links['Mary'].pk}/withdraw")
    answer = ada.get(f"/studies/{study.pk}/share/personal.csv")
    rows = list(csv.reader(answer.content.decode().splitlines()))
    assert rows[0] == ["note", "link", "state", "participant", "completion_code"]
    code = Participant.objects.get(link=links["Ada"]).completion_code
    assert code
    assert [row[3:] for row in rows[1:]] == [["1", code], ["2", ""], ["", ""], ["", ""], ["", ""]]
    assert [(row[0], row[2]) for row in rows[1:]] == [
        ("Ada", "finished"), ("'=Grace", "begun"), ("Mary", "withdrawn"), ("", "not used"), ("", "not used")
    ]  # fmt: skip
    assert rows[1][1] == f"http://testserver{address_of(links['Ada'])}"
    page = page_of(ada, study)
    assert "<strong>2</strong> began, <strong>1</strong> finished" in page


def test_a_link_of_another_study_is_not_found(ada: Client, study: Study, user: Any) -> None:
    other = study_with(user, prompts=1)
    assert post(ada, study, f"{link_of(other).pk}/withdraw").status_code == 404
    assert not link_of(other).revoked


def test_there_is_an_end_to_links(study: Study, user: Any) -> None:
    Link.objects.bulk_create(Link(study=study, personal=True, cap=1) for _ in range(9_998))
    personal_links_create(study, user, notes=["the last"])
    with pytest.raises(StudyRefused, match="at most 10,000"):
        personal_links_create(study, user, notes=["one more"])


def test_the_cap_may_equal_what_was_used_but_not_less(study: Study, user: Any) -> None:
    for _ in range(2):
        Voter(link_of(study)).begin()
    assert open_link_set(study, user, cap=2).cap == 2
    with pytest.raises(StudyRefused, match="2 have begun"):
        open_link_set(study, user, cap=1)


def test_the_page_takes_the_same_queries_for_few_and_many_links(
    ada: Client, study: Study, user: Any, django_assert_num_queries: Any
) -> None:
    for many in (10, 990):
        Link.objects.bulk_create(Link(study=study, personal=True, cap=1) for _ in range(many))
        with django_assert_num_queries(7):
            page_of(ada, study)


def test_the_preview_shows_pairs_from_addresses_of_staff_and_stores_nothing(ada: Client, study: Study) -> None:
    image = Image.objects.filter(prompt__study=study).select_related("arm", "prompt").first()
    assert image is not None
    page = ada.get(f"/studies/{study.pk}/preview/").content.decode()
    assert "1 of 2" in page
    assert 'method="get"' in page
    addresses = re.findall(r'<img src="([^"]+)"', page)
    assert all(re.fullmatch(rf"/studies/{study.pk}/images/\d+/shown\.png", address) for address in addresses)
    assert "2 of 2" in ada.get(f"/studies/{study.pk}/preview/?place=2&side=left").content.decode()
    for odd in ("0", "-1", "x", "9" * 30):
        assert ada.get(f"/studies/{study.pk}/preview/?place={odd}").status_code == 200
    assert (Participant.objects.count(), Trial.objects.count()) == (0, 0)
    assert Client().get(addresses[0]).status_code == 302  # to the sign-in


def test_before_there_are_images_the_preview_says_so(ada: Client, user: Any) -> None:
    study = study_with(user, prompts=2, state=StudyState.DRAFT)
    Image.objects.filter(prompt__study=study).delete()
    assert "No pair yet" in ada.get(f"/studies/{study.pk}/preview/").content.decode()
